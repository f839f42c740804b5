"""Networks to something that runs. Heavy libraries load only when a target is used."""
