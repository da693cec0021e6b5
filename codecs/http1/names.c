/* SPDX-License-Identifier: MIT */
/*
 * Finding names. A field name is found by a hash of its length, its first and its last four bytes
 * in a table without collisions (tests/codecs/http1 checks that), then compared once.
 */
#include "codecs/http1/names.h"

#include <assert.h>
#include <string.h>

#include "core/base/assertion.h"

enum { NAME_SIZE = 32, SLOTS_COUNT = 512 };

struct name {
    char lower[NAME_SIZE]; /* padded with zeros */
    uint8_t size;
};

static const struct name header_lower[SL_HTTP1_HEADERS_COUNT] = {
    [SL_HTTP1_HEADER_HOST] = {"host", 4},
    [SL_HTTP1_HEADER_CONTENT_LENGTH] = {"content-length", 14},
    [SL_HTTP1_HEADER_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [SL_HTTP1_HEADER_CONNECTION] = {"connection", 10},
    [SL_HTTP1_HEADER_EXPECT] = {"expect", 6},
    [SL_HTTP1_HEADER_UPGRADE] = {"upgrade", 7},
    [SL_HTTP1_HEADER_CONTENT_TYPE] = {"content-type", 12},
    [SL_HTTP1_HEADER_CONTENT_ENCODING] = {"content-encoding", 16},
    [SL_HTTP1_HEADER_X_REQUEST_ID] = {"x-request-id", 12},
    [SL_HTTP1_HEADER_X_FORWARDED_FOR] = {"x-forwarded-for", 15},
    [SL_HTTP1_HEADER_X_FORWARDED_PROTO] = {"x-forwarded-proto", 17},
    [SL_HTTP1_HEADER_X_FORWARDED_HOST] = {"x-forwarded-host", 16},
    [SL_HTTP1_HEADER_DATE] = {"date", 4},
    [SL_HTTP1_HEADER_SERVER] = {"server", 6},
    [SL_HTTP1_HEADER_KEEP_ALIVE] = {"keep-alive", 10},
    [SL_HTTP1_HEADER_TRAILER] = {"trailer", 7},
    [SL_HTTP1_HEADER_TE] = {"te", 2},
    [SL_HTTP1_HEADER_ACCEPT] = {"accept", 6},
    [SL_HTTP1_HEADER_ACCEPT_ENCODING] = {"accept-encoding", 15},
    [SL_HTTP1_HEADER_ACCEPT_LANGUAGE] = {"accept-language", 15},
    [SL_HTTP1_HEADER_ACCEPT_CHARSET] = {"accept-charset", 14},
    [SL_HTTP1_HEADER_ACCEPT_RANGES] = {"accept-ranges", 13},
    [SL_HTTP1_HEADER_USER_AGENT] = {"user-agent", 10},
    [SL_HTTP1_HEADER_COOKIE] = {"cookie", 6},
    [SL_HTTP1_HEADER_SET_COOKIE] = {"set-cookie", 10},
    [SL_HTTP1_HEADER_AUTHORIZATION] = {"authorization", 13},
    [SL_HTTP1_HEADER_CACHE_CONTROL] = {"cache-control", 13},
    [SL_HTTP1_HEADER_CONTENT_LANGUAGE] = {"content-language", 16},
    [SL_HTTP1_HEADER_CONTENT_DISPOSITION] = {"content-disposition", 19},
    [SL_HTTP1_HEADER_CONTENT_LOCATION] = {"content-location", 16},
    [SL_HTTP1_HEADER_CONTENT_RANGE] = {"content-range", 13},
    [SL_HTTP1_HEADER_CONTENT_SECURITY_POLICY] = {"content-security-policy", 23},
    [SL_HTTP1_HEADER_ETAG] = {"etag", 4},
    [SL_HTTP1_HEADER_EXPIRES] = {"expires", 7},
    [SL_HTTP1_HEADER_LAST_MODIFIED] = {"last-modified", 13},
    [SL_HTTP1_HEADER_IF_MATCH] = {"if-match", 8},
    [SL_HTTP1_HEADER_IF_NONE_MATCH] = {"if-none-match", 13},
    [SL_HTTP1_HEADER_IF_MODIFIED_SINCE] = {"if-modified-since", 17},
    [SL_HTTP1_HEADER_IF_UNMODIFIED_SINCE] = {"if-unmodified-since", 19},
    [SL_HTTP1_HEADER_IF_RANGE] = {"if-range", 8},
    [SL_HTTP1_HEADER_RANGE] = {"range", 5},
    [SL_HTTP1_HEADER_LOCATION] = {"location", 8},
    [SL_HTTP1_HEADER_ORIGIN] = {"origin", 6},
    [SL_HTTP1_HEADER_REFERER] = {"referer", 7},
    [SL_HTTP1_HEADER_VARY] = {"vary", 4},
    [SL_HTTP1_HEADER_VIA] = {"via", 3},
    [SL_HTTP1_HEADER_AGE] = {"age", 3},
    [SL_HTTP1_HEADER_ALLOW] = {"allow", 5},
    [SL_HTTP1_HEADER_LINK] = {"link", 4},
    [SL_HTTP1_HEADER_PRAGMA] = {"pragma", 6},
    [SL_HTTP1_HEADER_RETRY_AFTER] = {"retry-after", 11},
    [SL_HTTP1_HEADER_WARNING] = {"warning", 7},
    [SL_HTTP1_HEADER_PROXY_AUTHORIZATION] = {"proxy-authorization", 19},
    [SL_HTTP1_HEADER_PROXY_AUTHENTICATE] = {"proxy-authenticate", 18},
    [SL_HTTP1_HEADER_PROXY_CONNECTION] = {"proxy-connection", 16},
    [SL_HTTP1_HEADER_WWW_AUTHENTICATE] = {"www-authenticate", 16},
    [SL_HTTP1_HEADER_X_REAL_IP] = {"x-real-ip", 9},
    [SL_HTTP1_HEADER_FORWARDED] = {"forwarded", 9},
    [SL_HTTP1_HEADER_TRACEPARENT] = {"traceparent", 11},
    [SL_HTTP1_HEADER_TRACESTATE] = {"tracestate", 10},
    [SL_HTTP1_HEADER_BAGGAGE] = {"baggage", 7},
    [SL_HTTP1_HEADER_PRIORITY] = {"priority", 8},
    [SL_HTTP1_HEADER_DNT] = {"dnt", 3},
    [SL_HTTP1_HEADER_MAX_FORWARDS] = {"max-forwards", 12},
    [SL_HTTP1_HEADER_FROM] = {"from", 4},
    [SL_HTTP1_HEADER_ALT_SVC] = {"alt-svc", 7},
    [SL_HTTP1_HEADER_IDEMPOTENCY_KEY] = {"idempotency-key", 15},
    [SL_HTTP1_HEADER_SEC_FETCH_DEST] = {"sec-fetch-dest", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_MODE] = {"sec-fetch-mode", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_SITE] = {"sec-fetch-site", 14},
    [SL_HTTP1_HEADER_SEC_FETCH_USER] = {"sec-fetch-user", 14},
    [SL_HTTP1_HEADER_SEC_CH_UA] = {"sec-ch-ua", 9},
    [SL_HTTP1_HEADER_SEC_CH_UA_MOBILE] = {"sec-ch-ua-mobile", 16},
    [SL_HTTP1_HEADER_SEC_CH_UA_PLATFORM] = {"sec-ch-ua-platform", 18},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_KEY] = {"sec-websocket-key", 17},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_VERSION] = {"sec-websocket-version", 21},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_PROTOCOL] = {"sec-websocket-protocol", 22},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_EXTENSIONS] = {"sec-websocket-extensions", 24},
    [SL_HTTP1_HEADER_SEC_WEBSOCKET_ACCEPT] = {"sec-websocket-accept", 20},
    [SL_HTTP1_HEADER_UPGRADE_INSECURE_REQUESTS] = {"upgrade-insecure-requests", 25},
    [SL_HTTP1_HEADER_STRICT_TRANSPORT_SECURITY] = {"strict-transport-security", 25},
    [SL_HTTP1_HEADER_X_CONTENT_TYPE_OPTIONS] = {"x-content-type-options", 22},
    [SL_HTTP1_HEADER_X_FRAME_OPTIONS] = {"x-frame-options", 15},
    [SL_HTTP1_HEADER_X_REQUESTED_WITH] = {"x-requested-with", 16},
    [SL_HTTP1_HEADER_X_API_KEY] = {"x-api-key", 9},
    [SL_HTTP1_HEADER_X_CORRELATION_ID] = {"x-correlation-id", 16},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN] = {"access-control-allow-origin", 27},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_METHODS] = {"access-control-allow-methods", 28},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_HEADERS] = {"access-control-allow-headers", 28},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS] = {"access-control-allow-credentials", 32},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS] = {"access-control-expose-headers", 29},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_MAX_AGE] = {"access-control-max-age", 22},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_METHOD] = {"access-control-request-method", 29},
    [SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_HEADERS] = {"access-control-request-headers", 30},
    [SL_HTTP1_HEADER_LAST_EVENT_ID] = {"last-event-id", 13},
};

static const struct sl_slice header_names[SL_HTTP1_HEADERS_COUNT] = {
#define X(id, text) [SL_HTTP1_HEADER_##id] = {(const uint8_t *)text, sizeof(text) - 1},
    SL_HTTP1_HEADERS(X)
#undef X
};

static const struct sl_slice method_names[SL_HTTP1_METHODS_COUNT] = {
#define X(id, text) [SL_HTTP1_METHOD_##id] = {(const uint8_t *)text, sizeof(text) - 1},
    SL_HTTP1_METHODS(X)
#undef X
};

/* Slot of each name: see header_slot. The factors were found by trying. */
static const uint8_t header_slots[SLOTS_COUNT] = {
    [5] = SL_HTTP1_HEADER_CACHE_CONTROL,
    [6] = SL_HTTP1_HEADER_CONTENT_ENCODING,
    [14] = SL_HTTP1_HEADER_RANGE,
    [15] = SL_HTTP1_HEADER_X_API_KEY,
    [35] = SL_HTTP1_HEADER_SEC_WEBSOCKET_ACCEPT,
    [39] = SL_HTTP1_HEADER_IDEMPOTENCY_KEY,
    [46] = SL_HTTP1_HEADER_PROXY_CONNECTION,
    [51] = SL_HTTP1_HEADER_IF_NONE_MATCH,
    [55] = SL_HTTP1_HEADER_X_REQUESTED_WITH,
    [70] = SL_HTTP1_HEADER_IF_RANGE,
    [71] = SL_HTTP1_HEADER_LOCATION,
    [76] = SL_HTTP1_HEADER_SEC_WEBSOCKET_KEY,
    [88] = SL_HTTP1_HEADER_LAST_EVENT_ID,
    [91] = SL_HTTP1_HEADER_DATE,
    [94] = SL_HTTP1_HEADER_X_REAL_IP,
    [120] = SL_HTTP1_HEADER_ETAG,
    [125] = SL_HTTP1_HEADER_SEC_FETCH_MODE,
    [134] = SL_HTTP1_HEADER_ALT_SVC,
    [135] = SL_HTTP1_HEADER_SET_COOKIE,
    [141] = SL_HTTP1_HEADER_X_FORWARDED_PROTO,
    [146] = SL_HTTP1_HEADER_CONTENT_RANGE,
    [149] = SL_HTTP1_HEADER_SERVER,
    [156] = SL_HTTP1_HEADER_TRACESTATE,
    [157] = SL_HTTP1_HEADER_UPGRADE_INSECURE_REQUESTS,
    [160] = SL_HTTP1_HEADER_TRANSFER_ENCODING,
    [161] = SL_HTTP1_HEADER_X_CORRELATION_ID,
    [164] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
    [165] = SL_HTTP1_HEADER_SEC_CH_UA_PLATFORM,
    [180] = SL_HTTP1_HEADER_CONTENT_TYPE,
    [183] = SL_HTTP1_HEADER_SEC_WEBSOCKET_EXTENSIONS,
    [184] = SL_HTTP1_HEADER_ACCEPT_ENCODING,
    [197] = SL_HTTP1_HEADER_X_REQUEST_ID,
    [199] = SL_HTTP1_HEADER_ALLOW,
    [212] = SL_HTTP1_HEADER_X_FORWARDED_HOST,
    [213] = SL_HTTP1_HEADER_ACCEPT_RANGES,
    [216] = SL_HTTP1_HEADER_CONTENT_DISPOSITION,
    [226] = SL_HTTP1_HEADER_LINK,
    [227] = SL_HTTP1_HEADER_SEC_FETCH_USER,
    [229] = SL_HTTP1_HEADER_IF_MODIFIED_SINCE,
    [233] = SL_HTTP1_HEADER_REFERER,
    [235] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
    [236] = SL_HTTP1_HEADER_CONTENT_SECURITY_POLICY,
    [239] = SL_HTTP1_HEADER_ACCEPT,
    [246] = SL_HTTP1_HEADER_CONTENT_LENGTH,
    [249] = SL_HTTP1_HEADER_AUTHORIZATION,
    [259] = SL_HTTP1_HEADER_EXPIRES,
    [267] = SL_HTTP1_HEADER_IF_MATCH,
    [280] = SL_HTTP1_HEADER_SEC_FETCH_DEST,
    [285] = SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_HEADERS,
    [287] = SL_HTTP1_HEADER_FROM,
    [288] = SL_HTTP1_HEADER_ACCESS_CONTROL_MAX_AGE,
    [291] = SL_HTTP1_HEADER_CONTENT_LOCATION,
    [292] = SL_HTTP1_HEADER_CONTENT_LANGUAGE,
    [296] = SL_HTTP1_HEADER_COOKIE,
    [301] = SL_HTTP1_HEADER_TRACEPARENT,
    [302] = SL_HTTP1_HEADER_IF_UNMODIFIED_SINCE,
    [312] = SL_HTTP1_HEADER_PRAGMA,
    [315] = SL_HTTP1_HEADER_VARY,
    [317] = SL_HTTP1_HEADER_ACCEPT_CHARSET,
    [326] = SL_HTTP1_HEADER_HOST,
    [336] = SL_HTTP1_HEADER_TRAILER,
    [341] = SL_HTTP1_HEADER_STRICT_TRANSPORT_SECURITY,
    [344] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS,
    [350] = SL_HTTP1_HEADER_SEC_WEBSOCKET_PROTOCOL,
    [352] = SL_HTTP1_HEADER_SEC_CH_UA_MOBILE,
    [354] = SL_HTTP1_HEADER_X_FRAME_OPTIONS,
    [356] = SL_HTTP1_HEADER_X_CONTENT_TYPE_OPTIONS,
    [373] = SL_HTTP1_HEADER_PROXY_AUTHENTICATE,
    [375] = SL_HTTP1_HEADER_KEEP_ALIVE,
    [392] = SL_HTTP1_HEADER_X_FORWARDED_FOR,
    [399] = SL_HTTP1_HEADER_MAX_FORWARDS,
    [407] = SL_HTTP1_HEADER_WWW_AUTHENTICATE,
    [417] = SL_HTTP1_HEADER_LAST_MODIFIED,
    [418] = SL_HTTP1_HEADER_FORWARDED,
    [420] = SL_HTTP1_HEADER_WARNING,
    [424] = SL_HTTP1_HEADER_EXPECT,
    [430] = SL_HTTP1_HEADER_SEC_FETCH_SITE,
    [432] = SL_HTTP1_HEADER_ORIGIN,
    [436] = SL_HTTP1_HEADER_BAGGAGE,
    [443] = SL_HTTP1_HEADER_ACCESS_CONTROL_ALLOW_METHODS,
    [449] = SL_HTTP1_HEADER_UPGRADE,
    [452] = SL_HTTP1_HEADER_SEC_WEBSOCKET_VERSION,
    [457] = SL_HTTP1_HEADER_PRIORITY,
    [463] = SL_HTTP1_HEADER_USER_AGENT,
    [469] = SL_HTTP1_HEADER_ACCEPT_LANGUAGE,
    [471] = SL_HTTP1_HEADER_RETRY_AFTER,
    [477] = SL_HTTP1_HEADER_CONNECTION,
    [480] = SL_HTTP1_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
    [483] = SL_HTTP1_HEADER_PROXY_AUTHORIZATION,
    [485] = SL_HTTP1_HEADER_ACCESS_CONTROL_REQUEST_METHOD,
    [496] = SL_HTTP1_HEADER_SEC_CH_UA,
};

static inline uint64_t load64(const void *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return word | UINT64_C(0x2020202020202020);
}

static inline uint32_t load32(const void *data)
{
    uint32_t word;
    memcpy(&word, data, sizeof(word));
    return word | UINT32_C(0x20202020);
}

/* Of a name of at least four bytes. */
static inline uint32_t header_slot(const uint8_t *name, uint32_t size)
{
    uint32_t hash = load32(name) * UINT32_C(0x2d8b9e7d) +
                    load32(name + size - 4) * UINT32_C(0xb0a4d519) + size * UINT32_C(0x9e3779b1);
    return hash >> 23;
}

static_assert(SLOTS_COUNT == 1 << (32 - 23), "a slot has nine bits");

/*
 * Compare a token with a known name, without case. Setting bit 5 changes only letters, `^` and
 * `_` of a token, and no known name has `~` or DEL, so the comparison is exact.
 */
static inline bool name_equal(const uint8_t *name, const char *lower, size_t size)
{
    if (size >= 8) {
        for (size_t at = 0; at + 8 < size; at += 8) {
            if (load64(name + at) != load64(lower + at)) return false;
        }
        return load64(name + size - 8) == load64(lower + size - 8);
    }
    return load32(name) == load32(lower) && load32(name + size - 4) == load32(lower + size - 4);
}

/* The few names that are too short for the table. */
static __attribute__((cold, noinline)) enum sl_http1_header_id
header_find_short(struct sl_slice name)
{
    static const uint8_t ids[] = {SL_HTTP1_HEADER_TE, SL_HTTP1_HEADER_VIA, SL_HTTP1_HEADER_AGE,
                                  SL_HTTP1_HEADER_DNT};
    for (size_t i = 0; i < sizeof(ids); i++) {
        if (sl_slice_eq_nocase(name, header_names[ids[i]])) return (enum sl_http1_header_id)ids[i];
    }
    return SL_HTTP1_HEADER_OTHER;
}

enum sl_http1_header_id sl_http1_header_find(struct sl_slice name)
{
    if (__builtin_expect(name.size < 4, 0)) return header_find_short(name);
    if (name.size > NAME_SIZE) return SL_HTTP1_HEADER_OTHER;
    uint8_t id = header_slots[header_slot(name.data, (uint32_t)name.size)];
    const struct name *known = &header_lower[id];
    if (known->size != name.size) return SL_HTTP1_HEADER_OTHER;
    if (!name_equal(name.data, known->lower, name.size)) return SL_HTTP1_HEADER_OTHER;
    return (enum sl_http1_header_id)id;
}

enum sl_http1_method sl_http1_method_find(struct sl_slice name)
{
    for (int id = 1; id < SL_HTTP1_METHODS_COUNT; id++) {
        if (sl_slice_eq(name, method_names[id])) return (enum sl_http1_method)id;
    }
    return SL_HTTP1_METHOD_OTHER;
}

struct sl_slice sl_http1_header_name(enum sl_http1_header_id id)
{
    sl_assert(id > SL_HTTP1_HEADER_OTHER);
    sl_assert(id < SL_HTTP1_HEADERS_COUNT);
    return header_names[id];
}

void sl_http1_header_canonical(struct sl_slice name, uint8_t *out)
{
    sl_assert(out != NULL);
    bool upper = true;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (upper && c >= 'a' && c <= 'z') c = (uint8_t)(c - 'a' + 'A');
        if (!upper && c >= 'A' && c <= 'Z') c = (uint8_t)(c - 'A' + 'a');
        out[i] = c;
        upper = c == '-';
    }
}
