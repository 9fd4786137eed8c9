"""What every domain stands on: settings, time, ids, money, errors and the connections that leave the process."""
