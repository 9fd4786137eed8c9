"""The foundation of every domain: settings, time, ids, money, errors and the connections that leave the process."""
