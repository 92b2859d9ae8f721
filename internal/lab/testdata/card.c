/* A network card that is not there: loaded into ethtool(8) or mii-tool(8) with
 * LD_PRELOAD it answers their system calls from a file, whose name is in CARD.
 * The file is of records: kind, key, length (32 bits each), then the bytes.
 * See card.go, which writes it and gives the same answers to this library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KIND_MESSAGE = 1, KIND_STRINGS, KIND_IOCTL, KIND_SET, KIND_PAGE, KIND_REGISTERS, KIND_ERRNO, KIND_FAMILY, KIND_MEMORY };
enum { FAMILY = 0x21, MSG_STRSET = 1, MSG_EEPROM = 31, GET_LINK = 0x4c, GET_STRINGS = 0x1b, GET_SETS = 0x37, GET_EEPROM = 0x43 };

struct record { uint32_t kind, key, len; unsigned char data[]; };

static unsigned char *file, *file_end;
static int step; /* how often mii-tool has slept */

static void load(void)
{
	struct stat st;
	int fd;
	if (file)
		return;
	alarm(60); /* whatever happens, it ends */
	fd = open(getenv("CARD"), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror("CARD");
		_exit(99);
	}
	file = mmap(0, st.st_size + 1, PROT_READ, MAP_PRIVATE, fd, 0); /* an empty file, too */
	file_end = file + st.st_size;
	close(fd);
}

static struct record *find(uint32_t kind, uint32_t key)
{
	unsigned char *p;
	load();
	for (p = file; p + sizeof(struct record) <= file_end;) {
		struct record *r = (struct record *)p;
		if (r->kind == kind && r->key == key)
			return r;
		p += sizeof(*r) + (r->len + 3) / 4 * 4;
	}
	return 0;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* ethtool_ioctl is SIOCETHTOOL. The records hold the structures as the kernel
 * leaves them. */
static int ethtool_ioctl(uint32_t *data)
{
	struct record *r;
	uint32_t cmd = data[0], i, n = 0;
	if ((r = find(KIND_ERRNO, cmd << 8)))
		return refuse(*(uint32_t *)r->data);
	switch (cmd) {
	case GET_STRINGS:
		if (!(r = find(KIND_SET, data[1])))
			break;
		data[2] = r->len / 32;
		memcpy(data + 3, r->data, r->len);
		return 0;
	case GET_SETS: {
		uint64_t mask, has = 0;
		memcpy(&mask, data + 2, 8);
		for (i = 0; i < 64; i++) {
			if (!(mask >> i & 1) || !(r = find(KIND_SET, i)))
				continue;
			has |= 1ull << i;
			data[4 + n++] = r->len / 32;
		}
		memcpy(data + 2, &has, 8);
		return 0;
	}
	case GET_EEPROM:
		if (!(r = find(KIND_MEMORY, 0)))
			break;
		if ((uint64_t)data[2] + data[3] > r->len)
			return refuse(EINVAL);
		memcpy(data + 4, r->data + data[2], data[3]);
		return 0;
	case GET_LINK:
		if (!(r = find(KIND_IOCTL, cmd)))
			break;
		n = -((int8_t *)r->data)[15]; /* how many words a mask has; the caller's number must be that */
		if (((int8_t *)data)[15] != (int8_t)n) {
			memset(data + 1, 0, 44);
			((int8_t *)data)[15] = -n;
			return 0;
		}
		memcpy(data, r->data, r->len);
		((int8_t *)data)[15] = n;
		return 0;
	default:
		if (!(r = find(KIND_IOCTL, cmd)))
			break;
		memcpy(data, r->data, r->len);
		return 0;
	}
	return refuse(EOPNOTSUPP);
}

static int mii_ioctl(unsigned long request, char *ifr)
{
	uint16_t *mii = (uint16_t *)(ifr + 16); /* phy, register, in, out */
	struct record *r = find(KIND_REGISTERS, step);
	if (!r)
		return refuse(EOPNOTSUPP);
	if (request == 0x8947) { /* SIOCGMIIPHY */
		mii[0] = ((uint16_t *)r->data)[0];
		return 0;
	}
	mii[3] = mii[1] < 32 ? ((uint16_t *)r->data)[1 + mii[1]] : 0xffff;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int, unsigned long, void *);
	va_list ap;
	void *arg;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request >= 0x8946 && request <= 0x8948 && strcmp(arg, "lo"))
		return refuse(ENODEV); /* the card is the one of that name */
	switch (request) {
	case 0x8946: /* SIOCETHTOOL */
		return ethtool_ioctl(*(uint32_t **)((char *)arg + 16));
	case 0x8947:
	case 0x8948:
		return mii_ioctl(request, arg);
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "ioctl");
	return next(fd, request, arg);
}

/* What follows answers generic netlink: the family and its messages. One answer
 * waits at a time on each socket; ethtool has several when it must ask more while it
 * reads one. */

enum { SOCKETS = 16 };
static unsigned char waiting[SOCKETS][1 << 18];
static size_t waiting_have[SOCKETS], waiting_given[SOCKETS];
static unsigned char *answers;
static size_t have;

static void message(const struct nlmsghdr *to, uint16_t type, const void *head, size_t head_len, const void *body, size_t len)
{
	struct nlmsghdr h = { .nlmsg_len = sizeof(h) + head_len + len, .nlmsg_type = type, .nlmsg_seq = to->nlmsg_seq, .nlmsg_pid = to->nlmsg_pid };
	memcpy(answers + have, &h, sizeof(h));
	if (head_len)
		memcpy(answers + have + sizeof(h), head, head_len);
	if (len)
		memcpy(answers + have + sizeof(h) + head_len, body, len);
	have += (h.nlmsg_len + 3) & ~3u;
}

static void ack(const struct nlmsghdr *to, int error)
{
	struct nlmsgerr e = { .error = -error, .msg = *to };
	message(to, NLMSG_ERROR, &e, sizeof(e), 0, 0);
}

static void answer(const struct nlmsghdr *to, uint8_t cmd, const void *body, size_t len)
{
	/* Answers have numbers of their own, one higher from ETHTOOL_MSG_PRIVFLAGS_GET on. */
	uint8_t genl[4] = { cmd < 13 ? cmd : cmd + 1, 1, 0, 0 };
	message(to, to->nlmsg_type, genl, sizeof(genl), body, len);
	ack(to, 0);
}

/* attribute finds one of a type, 0 for none. */
static const unsigned char *attribute(const unsigned char *p, const unsigned char *end, int type)
{
	while (p + 4 <= end) {
		const struct nlattr *a = (const void *)p;
		if (a->nla_len < 4 || p + a->nla_len > end)
			return 0;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return p;
		p += (a->nla_len + 3) & ~3;
	}
	return 0;
}

static uint32_t number(const unsigned char *p, const unsigned char *end, int type, int bytes)
{
	uint32_t v = 0;
	const unsigned char *a = attribute(p, end, type);
	if (a)
		memcpy(&v, a + 4, bytes);
	return v;
}

static void page(const struct nlmsghdr *to, const unsigned char *p, const unsigned char *end)
{
	uint32_t offset = number(p, end, 2, 4), len = number(p, end, 3, 4), half = offset >= 128 ? 128 : 0;
	uint32_t where = number(p, end, 6, 1) << 24 | number(p, end, 5, 1) << 16 | number(p, end, 4, 1) << 8;
	struct record *r = find(KIND_PAGE, half ? where | half : where & 0xff000000);
	unsigned char body[4 + 128];
	struct nlattr *a = (struct nlattr *)body;
	if (!r || offset - half + len > 128)
		return ack(to, r ? EINVAL : EOPNOTSUPP);
	a->nla_len = 4 + len;
	a->nla_type = 7;
	memcpy(body + 4, r->data + offset - half, len);
	answer(to, MSG_EEPROM, body, (4 + len + 3) & ~3u);
}

static void request(const struct nlmsghdr *h)
{
	const unsigned char *p = (const unsigned char *)h + 20, *end = (const unsigned char *)h + h->nlmsg_len;
	uint8_t cmd = ((const uint8_t *)h)[16];
	struct record *r;
	if (h->nlmsg_type == 0x10) { /* the controller: which family */
		if (!(r = find(KIND_FAMILY, 0)))
			return ack(h, ENOENT);
		return answer(h, 1, r->data, r->len);
	}
	if ((r = find(KIND_ERRNO, cmd)))
		return ack(h, *(uint32_t *)r->data);
	if (cmd == MSG_EEPROM)
		return page(h, p, end);
	if (cmd == MSG_STRSET) { /* sets, a set, its number */
		const unsigned char *sets = attribute(p, end, 2), *set;
		uint32_t id = 0;
		if (sets && (set = attribute(sets + 4, end, 1)))
			id = number(set + 4, end, 1, 4);
		r = find(KIND_STRINGS, id);
	} else {
		r = find(KIND_MESSAGE, cmd);
	}
	if (!r)
		return ack(h, EOPNOTSUPP);
	answer(h, cmd, r->data, r->len);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	static ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	const struct nlmsghdr *h = buf;
	if (len >= 20 && (h->nlmsg_type == 0x10 || h->nlmsg_type == FAMILY)) {
		if (fd >= SOCKETS)
			return refuse(EMFILE);
		answers = waiting[fd];
		have = waiting_given[fd] = 0;
		request(h);
		waiting_have[fd] = have;
		return len;
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "sendto");
	return next(fd, buf, len, flags, to, to_len);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	static ssize_t (*next)(int, struct msghdr *, int);
	size_t n;
	if (fd < SOCKETS && waiting_given[fd] < waiting_have[fd]) { /* one message at a time, as the kernel gives them */
		struct nlmsghdr *h = (struct nlmsghdr *)(waiting[fd] + waiting_given[fd]);
		n = h->nlmsg_len;
		memset(m->msg_name, 0, m->msg_namelen);
		((struct sockaddr_nl *)m->msg_name)->nl_family = AF_NETLINK;
		memcpy(m->msg_iov[0].iov_base, h, n < m->msg_iov[0].iov_len ? n : m->msg_iov[0].iov_len);
		m->msg_flags = 0;
		if (!(flags & MSG_PEEK))
			waiting_given[fd] += (n + 3) & ~3u;
		return n;
	}
	if (file) /* nothing else answers here */
		return refuse(ENODATA);
	if (!next)
		next = dlsym(RTLD_NEXT, "recvmsg");
	return next(fd, m, flags);
}

/* What follows is for mii-tool --watch: time passes when it sleeps, and ends with
 * the last set of registers. */

time_t time(time_t *t)
{
	time_t now = 1700000000 + step;
	if (t)
		*t = now;
	return now;
}

unsigned int sleep(unsigned int seconds)
{
	(void)seconds;
	step++;
	if (!find(KIND_REGISTERS, step))
		exit(0);
	return 0;
}

static void told(int priority, const char *format, va_list ap)
{
	fprintf(stderr, "syslog %d: ", priority);
	vfprintf(stderr, format, ap);
	fprintf(stderr, "\n");
}

void syslog(int priority, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	told(priority, format, ap);
	va_end(ap);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list ap;
	(void)flag;
	va_start(ap, format);
	told(priority, format, ap);
	va_end(ap);
}
