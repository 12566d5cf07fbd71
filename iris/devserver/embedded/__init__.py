"""The embedded PostgreSQL: a Django database backend (`ENGINE = "iris.devserver.embedded"`) that starts its own server.

`base` is the backend; its first connection joins the server of IRIS_HOME. `server` is the code of every process that
uses the server. `keeper` is the single process that runs it. They coordinate by two locked files. The kernel releases
the locks when a process ends in any way, so no server keeps running without users, and no server is stopped too early:

    users.lock   held shared by every process that uses the server (and by its forked children)
    keeper.lock  held by the keeper; it stops PostgreSQL as soon as it obtains users.lock exclusively
"""
