"""The daemon: runs by the clock, one after the other, and a page that shows what came of them."""
