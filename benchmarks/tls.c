/* The way between a session and its socket: TLS where the server speaks it, else nothing. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PATIENCE = 5000 };       /* milliseconds for TCP's own handshake, which is over by then */

long resumed;
static SSL_CTX *context;
static int wants_tickets;

/* Called by OpenSSL for each ticket that came. It keeps the session for us where we return 1. */
static int keep(SSL *ssl, SSL_SESSION *session) {
    void **ticket = SSL_get_app_data(ssl);
    SSL_SESSION_free(*ticket);
    *ticket = session;
    return 1;
}

void use_tls(int resume) {
    wants_tickets = resume;
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep);
}

struct tls *tls_begin(int socket, void **ticket) {
    if (!context) return NULL;
    struct pollfd connected = {.fd = socket, .events = POLLOUT};
    poll(&connected, 1, PATIENCE);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, socket);
    SSL_set_app_data(ssl, ticket);
    SSL_set_connect_state(ssl);
    if (wants_tickets && *ticket) SSL_set_session(ssl, *ticket);
    SSL_do_handshake(ssl);      /* the first octets are the client's */
    return (struct tls *)ssl;
}

void tls_end(struct tls *tls) {
    SSL *ssl = (SSL *)tls;
    if (!ssl) return;
    resumed += SSL_session_reused(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  /* the ticket stays good */
    SSL_free(ssl);
}

/* Return what send and recv would have returned, with errno. */
static ssize_t outcome(SSL *ssl, int done) {
    if (done > 0) return done;
    int why = SSL_get_error(ssl, done);
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t tls_send(struct tls *tls, int socket, const void *octets, size_t length) {
    if (!tls) return send(socket, octets, length, MSG_NOSIGNAL);
    return outcome((SSL *)tls, SSL_write((SSL *)tls, octets, (int)length));
}

ssize_t tls_recv(struct tls *tls, int socket, void *octets, size_t room) {
    if (!tls) return recv(socket, octets, room, 0);
    ERR_clear_error();
    return outcome((SSL *)tls, SSL_read((SSL *)tls, octets, (int)room));
}
