// The console is complete without this file.
