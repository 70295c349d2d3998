"""The process and the system: sockets, signals of readiness, threads and cores.

`process` sets its limits, threads and signals. `activation` receives the sockets that the service
manager has opened, and `service_manager` reports to it. `unix_sockets` opens Unix sockets with the
rights of their file, `accepting` accepts connections at a socket, and `loop_thread` runs an event
loop in a thread.
"""
