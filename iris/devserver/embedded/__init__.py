"""The embedded PostgreSQL: a Django database backend (`ENGINE = "iris.devserver.embedded"`) whose server starts itself.

`base` is the backend: its first connection joins the server of IRIS_HOME. `server` is the side of every
process that uses it; `keeper` is the one process that runs it. They agree by two locked files, which the
kernel unlocks however a process ends, so that nothing is left running and nothing is stopped too early:

    users.lock   held shared by every process that uses the server (and by its forked children)
    keeper.lock  held by the keeper; it stops PostgreSQL as soon as it can have users.lock for itself
"""
