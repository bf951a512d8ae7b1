export PATH="$STANDIN_PATH"  # a login shell has set one of its own
