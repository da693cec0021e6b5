/* SPDX-License-Identifier: MIT */
/* RE2 behind C; see regex.h. No exception leaves this file: nothing in it throws but new. */
#include "nodes/script/cel/regex.h"

#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include <re2/re2.h>

#include "nodes/script/cel/automaton.h"

struct sl_cel_regex {
    RE2 re;
    uint32_t size;
    bool small; /* `automaton` says the same as `re` */
    struct sl_cel_automaton automaton;
    sl_cel_regex(const re2::StringPiece &pattern, const RE2::Options &options)
        : re(pattern, options), size(1), small(false)
    {
        int found = re.ok() ? re.ProgramSize() : 0;
        if (found > 0) size = static_cast<uint32_t>(found);
        if (!re.ok()) return;
        const uint8_t *bytes = reinterpret_cast<const uint8_t *>(pattern.data());
        small = sl_cel_automaton_make(bytes, pattern.size(), &automaton);
    }
};

static constexpr uint32_t kCacheSize = 16;
static constexpr int64_t kMemory = 1 << 20; /* of one expression with its automaton, bytes */

static RE2::Options make_options()
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMemory);
    return options;
}

struct sl_cel_regex_cache {
    struct {
        std::string pattern;
        sl_cel_regex *regex;
        uint64_t used;
    } slots[kCacheSize];
    uint64_t clock;
};

struct sl_cel_regex *sl_cel_regex_new(const uint8_t *pattern, size_t pattern_size, char *reterr,
                                      size_t reterr_size)
{
    reterr[0] = '\0';
    try {
        re2::StringPiece text(reinterpret_cast<const char *>(pattern), pattern_size);
        sl_cel_regex *regex = new sl_cel_regex(text, make_options());
        if (regex->re.ok()) return regex;
        (void)std::snprintf(reterr, reterr_size, "%s", regex->re.error().c_str());
        delete regex;
    } catch (const std::bad_alloc &) {
        reterr[0] = '\0';
    }
    return nullptr;
}

struct sl_cel_regex *sl_cel_regex_free(struct sl_cel_regex *regex)
{
    delete regex;
    return nullptr;
}

bool sl_cel_regex_match(const struct sl_cel_regex *regex, const uint8_t *text, size_t size)
{
    if (regex->small) return sl_cel_automaton_match(&regex->automaton, text, size);
    return sl_cel_regex_match_large(regex, text, size);
}

bool sl_cel_regex_is_small(const struct sl_cel_regex *regex)
{
    return regex->small;
}

bool sl_cel_regex_match_large(const struct sl_cel_regex *regex, const uint8_t *text, size_t size)
{
    re2::StringPiece piece(reinterpret_cast<const char *>(text), size);
    return regex->re.Match(piece, 0, size, RE2::UNANCHORED, nullptr, 0);
}

bool sl_cel_regex_find(const struct sl_cel_regex *regex, const uint8_t *text, size_t size,
                       size_t from, struct sl_cel_regex_group *groups, uint32_t count)
{
    re2::StringPiece found[SL_CEL_REGEX_GROUPS];
    re2::StringPiece piece(reinterpret_cast<const char *>(text), size);
    if (count > SL_CEL_REGEX_GROUPS) count = SL_CEL_REGEX_GROUPS;
    if (!regex->re.Match(piece, from, size, RE2::UNANCHORED, found, static_cast<int>(count))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (found[i].data() == nullptr) {
            groups[i] = {-1, -1};
            continue;
        }
        int32_t start = static_cast<int32_t>(found[i].data() - piece.data());
        groups[i] = {start, start + static_cast<int32_t>(found[i].size())};
    }
    return true;
}

uint32_t sl_cel_regex_groups(const struct sl_cel_regex *regex)
{
    return static_cast<uint32_t>(regex->re.NumberOfCapturingGroups());
}

uint32_t sl_cel_regex_size(const struct sl_cel_regex *regex)
{
    return regex->size;
}

struct sl_cel_regex_cache *sl_cel_regex_cache_new(void)
{
    return new (std::nothrow) sl_cel_regex_cache();
}

struct sl_cel_regex_cache *sl_cel_regex_cache_free(struct sl_cel_regex_cache *cache)
{
    if (cache == nullptr) return nullptr;
    for (auto &slot : cache->slots) delete slot.regex;
    delete cache;
    return nullptr;
}

const struct sl_cel_regex *sl_cel_regex_cache_get(struct sl_cel_regex_cache *cache,
                                                  const uint8_t *pattern, size_t pattern_size,
                                                  bool *ret_new, char *reterr, size_t reterr_size)
{
    uint32_t oldest = 0;
    *ret_new = false;
    for (uint32_t i = 0; i < kCacheSize; i++) {
        auto &slot = cache->slots[i];
        if (slot.regex != nullptr && slot.pattern.size() == pattern_size &&
            std::memcmp(slot.pattern.data(), pattern, pattern_size) == 0) {
            slot.used = ++cache->clock;
            return slot.regex;
        }
        if (slot.used < cache->slots[oldest].used) oldest = i;
    }
    *ret_new = true;
    sl_cel_regex *regex = sl_cel_regex_new(pattern, pattern_size, reterr, reterr_size);
    if (regex == nullptr) return nullptr;
    auto &slot = cache->slots[oldest];
    try {
        slot.pattern.assign(reinterpret_cast<const char *>(pattern), pattern_size);
    } catch (const std::bad_alloc &) {
        delete regex;
        return nullptr;
    }
    delete slot.regex;
    slot.regex = regex;
    slot.used = ++cache->clock;
    return regex;
}
