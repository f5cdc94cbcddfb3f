"""The report component: one page of the whole run, which a reviewer can read a year later."""
