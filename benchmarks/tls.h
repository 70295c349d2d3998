/* The way between a session and its socket: TLS where the server speaks it, else nothing. */
#ifndef TLS_H
#define TLS_H

#include <stddef.h>
#include <sys/types.h>

struct tls;                     /* a connection's */

extern long resumed;            /* handshakes in which the server took a ticket */

void use_tls(int resume);       /* in all connections; with the last ticket, if there is one */

/* Begin TLS on a connected socket; NULL where none is used. `ticket` is kept for the next time. */
struct tls *tls_begin(int socket, void **ticket);
void tls_end(struct tls *tls);

/* As send and recv, also without TLS. The first ones to be called shake hands. */
ssize_t tls_send(struct tls *tls, int socket, const void *octets, size_t length);
ssize_t tls_recv(struct tls *tls, int socket, void *octets, size_t room);

#endif
