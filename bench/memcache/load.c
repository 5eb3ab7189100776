/* Ask a server of memcache or Redis as fast as it answers.
 *
 * In:    load PROTOCOL HOST PORT CONNECTIONS DEPTH SECONDS GET_PERCENT VALUE_BYTES KEYS KEYS_PER_GET
 *        PROTOCOL is memcache or redis.
 *        Each connection sends DEPTH commands at once, and the next ones when all are answered.
 *        SECONDS 0: set every key once over one connection, and end.
 * Out:   one line of JSON: requests (commands), failed (errors, misses), seconds, p50_ms, p99_ms (of a batch of DEPTH).
 * Not:   any check of values; TLS.
 * Next:  bench/memcache/load.py compiles and runs it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 1 << 16, EVENTS = 256, LATENCY_US_MAX = 1000000, COMMAND_BYTES = 64, KEY_BYTES = 24 };

struct connection {
	int socket;
	char *out;
	size_t out_bytes, out_sent;
	char in[IN_BYTES];
	size_t in_bytes;
	uint64_t skipped; /* bytes of a value still to be passed over */
	int waiting;      /* commands of the batch that have no answer yet */
	int elements;     /* of an array of Redis that are still to come */
	uint64_t keys_asked, keys_found;
	uint64_t began_ns;
};

static int is_redis, depth, get_percent, keys_per_get, keys;
static size_t value_bytes;
static char *value;
static uint64_t requests, failed, batches;
static uint32_t latencies[LATENCY_US_MAX + 1];
static int to_fill = -1; /* the next key to set; -1: choose by chance */

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* splitmix64: the same numbers in every run. */
static uint64_t draw(void)
{
	static uint64_t state = 20260;
	uint64_t mixed = (state += 0x9e3779b97f4a7c15u);
	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
	return mixed ^ (mixed >> 31);
}

static char *add_set(char *out, int key)
{
	const char *form = is_redis ? "*3\r\n$3\r\nSET\r\n$14\r\nkey:%010d\r\n$%zu\r\n" : "set key:%010d 0 0 %zu\r\n";
	out += sprintf(out, form, key, value_bytes);
	out = mempcpy(out, value, value_bytes);
	return mempcpy(out, "\r\n", 2);
}

static char *add_get(char *out)
{
	const char *form = is_redis ? "$14\r\nkey:%010d\r\n" : " key:%010d";
	if (!is_redis)
		out = mempcpy(out, "get", 3);
	else if (keys_per_get == 1)
		out += sprintf(out, "*2\r\n$3\r\nGET\r\n");
	else
		out += sprintf(out, "*%d\r\n$4\r\nMGET\r\n", keys_per_get + 1);
	for (int count = 0; count < keys_per_get; count++)
		out += sprintf(out, form, (int)(draw() % (unsigned)keys));
	return is_redis ? out : mempcpy(out, "\r\n", 2);
}

static void write_out(struct connection *one)
{
	while (one->out_sent < one->out_bytes) {
		ssize_t sent = write(one->socket, one->out + one->out_sent, one->out_bytes - one->out_sent);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0)
			give_up("write");
		one->out_sent += (size_t)sent;
	}
}

static void begin_batch(struct connection *one)
{
	char *end = one->out;
	one->keys_asked = one->keys_found = 0;
	one->waiting = 0;
	for (int count = 0; count < depth; count++) {
		if (to_fill >= keys)
			break;
		if (to_fill >= 0) {
			end = add_set(end, to_fill++);
		} else if ((int)(draw() % 100) < get_percent) {
			end = add_get(end);
			one->keys_asked += (uint64_t)keys_per_get;
		} else {
			end = add_set(end, (int)(draw() % (unsigned)keys));
		}
		one->waiting++;
	}
	one->out_sent = 0;
	one->out_bytes = (size_t)(end - one->out);
	one->began_ns = now_ns();
	write_out(one);
}

static void end_batch(struct connection *one)
{
	uint64_t took_us = (now_ns() - one->began_ns) / 1000;
	latencies[took_us < LATENCY_US_MAX ? took_us : LATENCY_US_MAX]++;
	batches++;
	failed += one->keys_asked - one->keys_found;
	begin_batch(one);
}

static int begins(const char *line, size_t bytes, const char *with)
{
	size_t length = strlen(with);
	return bytes >= length && memcmp(line, with, length) == 0;
}

static void take_answer(struct connection *one, int is_good)
{
	requests++;
	failed += !is_good;
	if (--one->waiting == 0)
		end_batch(one);
}

static void take_memcache(struct connection *one, const char *line, size_t bytes)
{
	if (begins(line, bytes, "VALUE ")) {
		const char *size = line + bytes;
		while (size[-1] != ' ')
			size--;
		one->skipped = strtoull(size, NULL, 10) + 2;
		one->keys_found++;
		return;
	}
	take_answer(one, begins(line, bytes, "END") || begins(line, bytes, "STORED"));
}

static void take_redis(struct connection *one, const char *line, size_t bytes)
{
	if (line[0] == '*') {
		one->elements = atoi(line + 1);
		return;
	}
	if (line[0] == '$' && line[1] != '-') {
		one->skipped = strtoull(line + 1, NULL, 10) + 2;
		one->keys_found++;
	}
	if (one->elements > 0 && --one->elements > 0)
		return;
	take_answer(one, line[0] == '$' || begins(line, bytes, "+OK"));
}

static void take(struct connection *one)
{
	size_t start = 0;
	while (start < one->in_bytes) {
		size_t rest = one->in_bytes - start;
		if (one->skipped) {
			size_t passed = rest < one->skipped ? rest : one->skipped;
			one->skipped -= passed;
			start += passed;
			continue;
		}
		const char *line = one->in + start;
		const char *end = memchr(line, '\n', rest);
		if (!end)
			break;
		start += (size_t)(end - line) + 1;
		(is_redis ? take_redis : take_memcache)(one, line, (size_t)(end - line));
	}
	memmove(one->in, one->in + start, one->in_bytes - start);
	one->in_bytes -= start;
}

static void read_in(struct connection *one)
{
	for (;;) {
		ssize_t got = read(one->socket, one->in + one->in_bytes, IN_BYTES - one->in_bytes);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0)
			give_up("read");
		if (got == 0) {
			fprintf(stderr, "the server closed a connection\n");
			exit(1);
		}
		one->in_bytes += (size_t)got;
		take(one);
	}
}

static void open_connection(struct connection *one, const struct sockaddr_in *server, int poller)
{
	int yes = 1;
	one->socket = socket(AF_INET, SOCK_STREAM, 0);
	if (one->socket < 0 || connect(one->socket, (const struct sockaddr *)server, sizeof *server))
		give_up("connect");
	setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	one->out = malloc((size_t)depth * (value_bytes + COMMAND_BYTES + KEY_BYTES * (size_t)keys_per_get));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = one};
	if (!one->out || fcntl(one->socket, F_SETFL, O_NONBLOCK) || epoll_ctl(poller, EPOLL_CTL_ADD, one->socket, &event))
		give_up("epoll_ctl");
}

static double latency_ms(double share)
{
	uint64_t seen = 0;
	for (int us = 0; us <= LATENCY_US_MAX; us++)
		if ((double)(seen += latencies[us]) >= share * (double)batches)
			return us / 1000.0;
	return LATENCY_US_MAX / 1000.0;
}

int main(int count, char **words)
{
	if (count != 11) {
		fprintf(stderr, "load: 10 words are wanted, as load.c says; got %d\n", count - 1);
		return 2;
	}
	is_redis = strcmp(words[1], "redis") == 0;
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[3]))};
	inet_pton(AF_INET, words[2], &server.sin_addr);
	int connections = atoi(words[4]);
	depth = atoi(words[5]);
	double seconds = atof(words[6]);
	get_percent = atoi(words[7]);
	value_bytes = (size_t)atoi(words[8]);
	keys = atoi(words[9]);
	keys_per_get = atoi(words[10]);
	if (seconds <= 0) {
		to_fill = 0;
		connections = 1;
	}
	value = malloc(value_bytes + 1);
	struct connection *all = calloc((size_t)connections, sizeof *all);
	int poller = epoll_create1(0);
	if (!value || !all || poller < 0)
		give_up("memory");
	memset(value, 'v', value_bytes);
	for (int index = 0; index < connections; index++)
		open_connection(&all[index], &server, poller);
	uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);
	for (int index = 0; index < connections; index++)
		begin_batch(&all[index]);
	struct epoll_event events[EVENTS];
	while (to_fill < 0 ? now_ns() < end : all[0].waiting > 0) {
		int ready = epoll_wait(poller, events, EVENTS, 100);
		for (int index = 0; index < ready; index++) {
			write_out(events[index].data.ptr);
			read_in(events[index].data.ptr);
		}
	}
	double took = (double)(now_ns() - began) / 1e9;
	printf("{\"requests\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
	       (unsigned long long)requests, (unsigned long long)failed, took, latency_ms(0.5), latency_ms(0.99));
	return 0;
}
