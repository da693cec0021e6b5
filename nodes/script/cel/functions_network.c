/* SPDX-License-Identifier: MIT */
/*
 * The network library (cel-go, ext: Network): IP addresses and CIDR ranges. Texts are read
 * strictly: no zones, no IPv4 written inside IPv6. An IPv4 address mapped into IPv6 in hexadecimal
 * is that IPv4 address.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assertion.h"
#include "nodes/script/cel/eval.h"

typedef const struct sl_cel_val *const *args_t;

static bool ret_bool(struct sl_cel_val *ret, bool value)
{
    *ret = sl_cel_bool(value);
    return true;
}

static bool is_mapped(const struct sl_cel_net *net)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return net->family == 6 && memcmp(net->bytes, prefix, sizeof(prefix)) == 0;
}

/* The address without its text's check for mapped ones. */
static bool read_address(struct sl_slice text, struct sl_cel_net *ret)
{
    char buf[INET6_ADDRSTRLEN + 1];
    if (text.size == 0 || text.size >= sizeof(buf)) return false;
    if (memchr(text.data, '\0', text.size) != NULL) return false;
    memcpy(buf, text.data, text.size);
    buf[text.size] = '\0';
    *ret = (struct sl_cel_net){0};
    if (strchr(buf, ':') == NULL) {
        ret->family = 4;
        return inet_pton(AF_INET, buf, ret->bytes) == 1;
    }
    ret->family = 6;
    return strchr(buf, '.') == NULL && inet_pton(AF_INET6, buf, ret->bytes) == 1;
}

static bool read_ip(struct sl_slice text, struct sl_cel_net *ret)
{
    if (!read_address(text, ret)) return false;
    if (!is_mapped(ret)) return true;
    struct sl_cel_net inner = {.family = 4};
    memcpy(inner.bytes, ret->bytes + 12, 4);
    *ret = inner;
    return true;
}

static bool read_cidr(struct sl_slice text, struct sl_cel_net *ret)
{
    const uint8_t *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    if (slash == NULL) return false;
    struct sl_slice address = {text.data, (size_t)(slash - text.data)};
    struct sl_slice bits = {slash + 1, text.size - address.size - 1};
    if (!read_address(address, ret) || is_mapped(ret)) return false;
    if (bits.size == 0 || bits.size > 3 || (bits.size > 1 && bits.data[0] == '0')) return false;
    uint32_t prefix = 0;
    for (size_t i = 0; i < bits.size; i++) {
        if (bits.data[i] < '0' || bits.data[i] > '9') return false;
        prefix = prefix * 10 + (uint32_t)(bits.data[i] - '0');
    }
    ret->prefix = (uint8_t)prefix;
    return prefix <= (ret->family == 4 ? 32 : 128);
}

static bool fail_text(struct sl_cel_eval *eval, const char *what, const struct sl_cel_val *text)
{
    uint32_t size = text->len > 100 ? 100 : text->len;
    return sl_cel_fail(eval, "%s '%.*s' parse error during conversion from string", what, (int)size,
                       (const char *)text->ptr);
}

static bool ret_net(struct sl_cel_eval *eval, const struct sl_cel_net *net, enum sl_cel_kind kind,
                    struct sl_cel_val *ret)
{
    struct sl_cel_net *copy = sl_cel_alloc(eval, sizeof(*copy));
    if (copy == NULL) return false;
    *copy = *net;
    *ret = (struct sl_cel_val){.kind = (uint8_t)kind, .net = copy};
    return true;
}

static bool call_ip(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    if (!read_ip(sl_cel_slice(args[0]), &net)) return fail_text(eval, "IP Address", args[0]);
    return ret_net(eval, &net, SL_CEL_IP, ret);
}

static bool call_cidr(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    if (!read_cidr(sl_cel_slice(args[0]), &net)) return fail_text(eval, "CIDR", args[0]);
    return ret_net(eval, &net, SL_CEL_CIDR, ret);
}

static bool call_is_ip(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    return ret_bool(ret, read_ip(sl_cel_slice(args[0]), &net));
}

static bool call_is_cidr(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    return ret_bool(ret, read_cidr(sl_cel_slice(args[0]), &net));
}

static bool call_is_canonical(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    char buf[SL_CEL_SCALAR_TEXT];
    struct sl_cel_net net;
    if (!read_ip(sl_cel_slice(args[0]), &net)) return fail_text(eval, "IP Address", args[0]);
    size_t size = sl_cel_net_text(&net, false, buf);
    return ret_bool(ret, sl_slice_eq(sl_cel_slice(args[0]), sl_slice_make(buf, size)));
}

static bool call_family(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_int(args[0]->net->family);
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* Sorts of addresses                                                                           */

static bool is_unspecified(const struct sl_cel_net *net)
{
    static const uint8_t zero[16];
    return memcmp(net->bytes, zero, sizeof(zero)) == 0;
}

static bool is_loopback(const struct sl_cel_net *net)
{
    static const uint8_t one[16] = {[15] = 1};
    return net->family == 4 ? net->bytes[0] == 127 : memcmp(net->bytes, one, sizeof(one)) == 0;
}

static bool is_multicast(const struct sl_cel_net *net)
{
    return net->family == 4 ? net->bytes[0] >> 4 == 14 : net->bytes[0] == 0xff;
}

static bool is_link_local_multicast(const struct sl_cel_net *net)
{
    const uint8_t *b = net->bytes;
    if (net->family == 4) return b[0] == 224 && b[1] == 0 && b[2] == 0;
    return b[0] == 0xff && (b[1] & 0x0f) == 2;
}

static bool is_link_local_unicast(const struct sl_cel_net *net)
{
    const uint8_t *b = net->bytes;
    if (net->family == 4) return b[0] == 169 && b[1] == 254;
    return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

static bool is_broadcast(const struct sl_cel_net *net)
{
    static const uint8_t ones[4] = {255, 255, 255, 255};
    return net->family == 4 && memcmp(net->bytes, ones, sizeof(ones)) == 0;
}

static bool is_global_unicast(const struct sl_cel_net *net)
{
    return !is_unspecified(net) && !is_broadcast(net) && !is_loopback(net) && !is_multicast(net) &&
           !is_link_local_unicast(net);
}

#define ADDRESS_TEST(name)                                                                         \
    static bool call_##name(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)         \
    {                                                                                              \
        return ret_bool(ret, name(args[0]->net));                                                  \
    }

ADDRESS_TEST(is_unspecified)
ADDRESS_TEST(is_loopback)
ADDRESS_TEST(is_link_local_multicast)
ADDRESS_TEST(is_link_local_unicast)
ADDRESS_TEST(is_global_unicast)

/* ------------------------------------------------------------------------------------------ */
/* Ranges                                                                                       */

/* The address with all bits behind `prefix` zero. */
static struct sl_cel_net masked(const struct sl_cel_net *net, uint32_t prefix)
{
    struct sl_cel_net result = *net;
    uint32_t size = net->family == 4 ? 4 : 16;
    for (uint32_t i = 0; i < size; i++) {
        uint32_t bits = prefix > i * 8 ? prefix - i * 8 : 0;
        if (bits < 8) result.bytes[i] &= (uint8_t)(0xff00U >> bits);
    }
    return result;
}

static bool contains(const struct sl_cel_net *range, const struct sl_cel_net *address)
{
    if (range->family != address->family) return false;
    struct sl_cel_net a = masked(range, range->prefix);
    struct sl_cel_net b = masked(address, range->prefix);
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

static bool call_contains_ip(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bool(ret, contains(args[0]->net, args[1]->net));
}

static bool call_contains_ip_text(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    if (!read_ip(sl_cel_slice(args[1]), &net)) return fail_text(eval, "IP Address", args[1]);
    return ret_bool(ret, contains(args[0]->net, &net));
}

static bool contains_cidr(const struct sl_cel_net *range, const struct sl_cel_net *other)
{
    return range->prefix <= other->prefix && contains(range, other);
}

static bool call_contains_cidr(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    return ret_bool(ret, contains_cidr(args[0]->net, args[1]->net));
}

static bool call_contains_cidr_text(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net;
    if (!read_cidr(sl_cel_slice(args[1]), &net)) return fail_text(eval, "CIDR", args[1]);
    return ret_bool(ret, contains_cidr(args[0]->net, &net));
}

static bool call_cidr_ip(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net = *args[0]->net;
    net.prefix = 0;
    return ret_net(eval, &net, SL_CEL_IP, ret);
}

static bool call_masked(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net = masked(args[0]->net, args[0]->net->prefix);
    return ret_net(eval, &net, SL_CEL_CIDR, ret);
}

static bool call_is_mask(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    struct sl_cel_net net = masked(args[0]->net, args[0]->net->prefix);
    return ret_bool(ret, memcmp(net.bytes, args[0]->net->bytes, sizeof(net.bytes)) == 0);
}

static bool call_prefix_length(struct sl_cel_eval *eval, args_t args, struct sl_cel_val *ret)
{
    *ret = sl_cel_int(args[0]->net->prefix);
    return true;
}

const struct sl_cel_function sl_cel_functions_network[] = {
    {"ip", "s>I", call_ip},
    {"ip", "c.>I", call_cidr_ip},
    {"cidr", "s>c", call_cidr},
    {"isIP", "s>b", call_is_ip},
    {"isCIDR", "s>b", call_is_cidr},
    {"ip.isCanonical", "s>b", call_is_canonical},
    {"family", "I.>i", call_family},
    {"isUnspecified", "I.>b", call_is_unspecified},
    {"isLoopback", "I.>b", call_is_loopback},
    {"isGlobalUnicast", "I.>b", call_is_global_unicast},
    {"isLinkLocalMulticast", "I.>b", call_is_link_local_multicast},
    {"isLinkLocalUnicast", "I.>b", call_is_link_local_unicast},
    {"containsIP", "c.I>b", call_contains_ip},
    {"containsIP", "c.s>b", call_contains_ip_text},
    {"containsCIDR", "c.c>b", call_contains_cidr},
    {"containsCIDR", "c.s>b", call_contains_cidr_text},
    {"masked", "c.>c", call_masked},
    {"isMask", "c.>b", call_is_mask},
    {"prefixLength", "c.>i", call_prefix_length},
    {NULL, NULL, NULL},
};
