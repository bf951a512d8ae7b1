"""`pinjra serve`: HTTP requests of many tenants -> sessions of one machine. `app.create_app` is the door."""
