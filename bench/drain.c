/* A client that looks at nothing: signs in, asks for everything at once and reads until the last answer.

   drain PORT USER PASSWORD LETTERS [tls]      prints: seconds bytes CPU-seconds

   The limit that bench/fetch.py compares with. Certificates are not checked: it is our own server. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
static SSL *tls;
#endif

static int sock;
static char scratch[256 * 1024];

static long get(char *into, size_t room)
{
#ifdef WITH_TLS
    if (tls) return SSL_read(tls, into, (int)room);
#endif
    return read(sock, into, room);
}

static void say(const char *text)
{
    size_t left = strlen(text);
#ifdef WITH_TLS
    if (tls) {
        SSL_write(tls, text, (int)left);
        return;
    }
#endif
    while (left) {
        long count = write(sock, text, left);
        if (count <= 0) exit(1);
        text += count;
        left -= (size_t)count;
    }
}

static double until(const char *mark)
{
    char end[257];
    size_t have = 0;
    double bytes = 0;
    for (;;) {
        long count = get(scratch, sizeof scratch);
        if (count <= 0) exit(1);
        bytes += (double)count;
        size_t some = (size_t)count < 128 ? (size_t)count : 128;
        memcpy(end + have, scratch + count - some, some);
        have += some;
        end[have] = 0;
        if (strstr(end, mark)) return bytes;
        if (have > 128) {
            memmove(end, end + have - 128, 128);
            have = 128;
        }
    }
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **words)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char line[512];
    int letters, one = 1;
    if (count < 5) return 2;
    there.sin_port = htons((unsigned short)atoi(words[1]));
    letters = atoi(words[4]);
    sock = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(sock, (struct sockaddr *)&there, sizeof there)) return 1;
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef WITH_TLS
    if (count > 5) {
        tls = SSL_new(SSL_CTX_new(TLS_client_method()));
        SSL_set_fd(tls, sock);
        if (SSL_connect(tls) != 1) return 1;
    }
#endif
    snprintf(line, sizeof line, "a LOGIN %s %s\r\na EXAMINE INBOX\r\nb NOOP\r\n", words[2], words[3]);
    say(line);
    until("b OK NOOP completed");
    double begun = now(), used = cpu();
    for (int start = 1; start <= letters; start += 200) {
        int last = start + 199 < letters ? start + 199 : letters;
        snprintf(line, sizeof line, "c UID FETCH %d:%d (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n", start, last);
        say(line);
    }
    say("z NOOP\r\n");
    double bytes = until("z OK NOOP completed");
    printf("%.6f %.0f %.6f\n", now() - begun, bytes, cpu() - used);
    return 0;
}
