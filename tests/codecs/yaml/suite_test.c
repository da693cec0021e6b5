/* SPDX-License-Identifier: MIT */
/*
 * The public YAML suite (SLUICE_SUITES/yaml): each in.yaml must give what its in.json says, and
 * what has an `error` file must be refused. Two tables name every case that does not hold, with
 * the reason; a case that begins to hold fails the test too, so the tables stay true.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/json/json.h"
#include "codecs/yaml/yaml.h"

enum { PATH_SIZE = 512, CASES_MIN = 400 };

struct known {
    const char *id;
    const char *why;
};

/* Valid YAML 1.2 that libyaml 0.2.5, a YAML 1.1 parser, refuses or reads otherwise. */
static const struct known libyaml_refuses[] = {
    {"2JQS", "empty key"},
    {"2LFX", "directive of another version or name"},
    {"2SXE", "colon in an anchor"},
    {"4ABK", "empty key"},
    {"4MUZ/00", "flow key and its colon on two lines"},
    {"4MUZ/01", "flow key and its colon on two lines"},
    {"4MUZ/02", "flow key and its colon on two lines"},
    {"58MP", "empty key"},
    {"5MUD", "flow key and its colon on two lines"},
    {"5T43", "plain text that begins with a colon or question mark in a flow"},
    {"652Z", "plain text that begins with a colon or question mark in a flow"},
    {"6BCT", "tab between tokens or in a block"},
    {"6CA3", "tab between tokens or in a block"},
    {"6LVF", "directive of another version or name"},
    {"6M2F", "alias as a key in block style"},
    {"7Z25", "document that begins after ... without ---"},
    {"8XYN", "colon in an anchor"},
    {"96NN/00", "tab between tokens or in a block"},
    {"96NN/01", "tab between tokens or in a block"},
    {"9SA2", "flow key and its colon on two lines"},
    {"A2M4", "tab between tokens or in a block"},
    {"BEC7", "directive of another version or name"},
    {"CFD4", "empty key"},
    {"DBG4", "plain text that begins with a colon or question mark in a flow"},
    {"DK3J", "block text in column 1"},
    {"DK95/00", "tab between tokens or in a block"},
    {"DK95/03", "tab between tokens or in a block"},
    {"DK95/04", "tab between tokens or in a block"},
    {"FP8R", "block text in column 1"},
    {"FRK4", "empty key"},
    {"HM87/00", "plain text that begins with a colon or question mark in a flow"},
    {"HM87/01", "plain text that begins with a colon or question mark in a flow"},
    {"HWV9", "document that begins after ... without ---"},
    {"K3WX", "flow key and its colon on two lines"},
    {"M7A3", "document that begins after ... without ---"},
    {"MUS6/05", "directive of another version or name"},
    {"MUS6/06", "directive of another version or name"},
    {"NHX8", "empty key"},
    {"NJ66", "flow key and its colon on two lines"},
    {"NKF9", "empty key"},
    {"Q5MG", "tab between tokens or in a block"},
    {"QT73", "document that begins after ... without ---"},
    {"R4YG", "tab between tokens or in a block"},
    {"S3PD", "empty key"},
    {"SM9W/01", "empty key"},
    {"UKK6/00", "empty key"},
    {"UT92", "document that begins after ... without ---"},
    {"VJP3/01", "flow key and its colon on two lines"},
    {"W4TN", "document that begins after ... without ---"},
    {"W5VH", "colon in an anchor"},
    {"Y2GN", "anchor with a colon is cut"},
    {"Y79Y/001", "tab between tokens or in a block"},
    {"Y79Y/010", "tab between tokens or in a block"},
};

/* Invalid YAML that libyaml accepts. */
static const struct known libyaml_accepts[] = {
    {"9C9N", "wrong indentation inside a flow or quoted text"},
    {"9HCY", "directive without the end of the document before it"},
    {"9JBA", "comment without a space before it"},
    {"CVW2", "comment without a space before it"},
    {"DK95/01", "wrong indentation inside a flow or quoted text"},
    {"EB22", "directive without the end of the document before it"},
    {"G5U8", "lone dash in a flow list"},
    {"MUS6/00", "directive with a wrong argument"},
    {"MUS6/01", "directive with a wrong argument"},
    {"QB6E", "wrong indentation inside a flow or quoted text"},
    {"RHX7", "directive without the end of the document before it"},
    {"S98Z", "empty lines deeper than the text"},
    {"SU5Z", "comment without a space before it"},
    {"X4QW", "comment without a space before it"},
    {"Y79Y/003", "wrong indentation inside a flow or quoted text"},
    {"YJV2", "lone dash in a flow list"},
};

/* Valid, and refused or read otherwise by a decision of ours (codecs/yaml/yaml.h). */
static const struct known decisions[] = {
    {"4FJ6", "a list or map as a key"},
    {"565N", "!!binary gives bytes, not the text of its base64"},
    {"6BFJ", "a list or map as a key"},
    {"6PBE", "a list or map as a key"},
    {"9MMW", "a list or map as a key"},
    {"KK5P", "a list or map as a key"},
    {"LX3P", "a list or map as a key"},
    {"M2N8/00", "a list or map as a key"},
    {"M2N8/01", "a list or map as a key"},
    {"M5DY", "a list or map as a key"},
    {"Q9WF", "a list or map as a key"},
    {"RZP5", "a list or map as a key"},
    {"SBG9", "a list or map as a key"},
    {"V9D5", "a list or map as a key"},
    {"X38W", "a list or map as a key"},
    {"XW4D", "a list or map as a key"},
};

struct suite {
    char root[PATH_SIZE];
    unsigned cases;
    unsigned held;
    unsigned known;
    unsigned failed;
};

static char *file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    size_t cap = 1 << 20;
    char *text = malloc(cap);
    assert_non_null(text);
    *ret_size = fread(text, 1, cap - 1, file);
    text[*ret_size] = '\0';
    (void)fclose(file);
    return text;
}

static const char *known_why(const char *id)
{
    static const struct {
        const struct known *items;
        size_t count;
    } tables[] = {
        {libyaml_refuses, sizeof(libyaml_refuses) / sizeof(libyaml_refuses[0])},
        {libyaml_accepts, sizeof(libyaml_accepts) / sizeof(libyaml_accepts[0])},
        {decisions, sizeof(decisions) / sizeof(decisions[0])},
    };
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            if (strcmp(id, tables[t].items[i].id) == 0) return tables[t].items[i].why;
        }
    }
    return NULL;
}

/* The end of the JSON value at `at`: several stand in one file, one for each document. */
static size_t json_end(const char *text, size_t at)
{
    int depth = 0;
    bool quoted = false;
    for (; text[at] != '\0'; at++) {
        char c = text[at];
        if (quoted) {
            if (c == '\\') at++;
            if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        bool word = !quoted && c != '"' && c != '}' && c != ']';
        char next = text[at + 1];
        bool ends = next == '\0' || next == '\n' || next == ' ' || !word;
        if (depth == 0 && !quoted && ends) return at + 1;
    }
    return at;
}

/* NULL if the documents are those of the JSON text, else what differs. */
static const char *compare(const struct sl_yaml *yaml, const char *json)
{
    size_t at = 0;
    size_t index = 0;
    for (;; index++) {
        while (json[at] == ' ' || json[at] == '\n') at++;
        if (json[at] == '\0') break;
        size_t end = json_end(json, at);
        struct sl_value expected = sl_value_none();
        struct sl_slice text = sl_slice_make(json + at, end - at);
        if (sl_json_parse(text, NULL, NULL, 0, &expected, NULL) != 0) return "in.json unreadable";
        bool equal = index < yaml->docs_count && sl_value_equal(expected, yaml->docs[index].value);
        sl_value_unref(expected);
        if (!equal) return "value differs";
        at = end;
    }
    return index == yaml->docs_count ? NULL : "number of documents";
}

/* Written and read again, every document is equal. */
static bool round_trip(const struct sl_yaml *yaml)
{
    for (size_t i = 0; i < yaml->docs_count; i++) {
        char *text = NULL;
        size_t size = 0;
        assert_int_equal(sl_yaml_write(yaml->docs[i].value, &text, &size), 0);
        struct sl_value again = sl_value_none();
        int result = sl_yaml_parse_one(sl_slice_make(text, size), NULL, 0, &again, NULL);
        bool equal = result == 0 && sl_value_equal(again, yaml->docs[i].value);
        if (result == 0) sl_value_unref(again);
        if (!equal) print_error("written as:\n%s\n", text);
        free(text);
        if (!equal) return false;
    }
    return true;
}

static const char *case_run(const char *folder, char *detail, size_t detail_size)
{
    char path[PATH_SIZE + 32];
    size_t size = 0;
    size_t json_size = 0;
    (void)snprintf(path, sizeof(path), "%s/in.yaml", folder);
    char *text = file_read(path, &size);
    assert_non_null(text);
    (void)snprintf(path, sizeof(path), "%s/in.json", folder);
    char *json = file_read(path, &json_size);
    (void)snprintf(path, sizeof(path), "%s/error", folder);
    size_t ignored = 0;
    char *error = file_read(path, &ignored);

    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    int result = sl_yaml_parse(sl_slice_make(text, size), "", NULL, 0, &yaml, &diags);
    const char *fault = NULL;
    if (error != NULL) {
        fault = result == 0 ? "accepted" : NULL;
    } else if (result != 0) {
        fault = "refused";
        (void)snprintf(detail, detail_size, "%u:%u %s", diags.items[0].pos.line,
                       diags.items[0].pos.column, diags.items[0].text);
    } else {
        fault = json != NULL ? compare(&yaml, json) : NULL;
    }
    if (result == 0 && fault == NULL && !round_trip(&yaml)) fault = "round trip";
    sl_yaml_fini(&yaml);
    sl_diags_fini(&diags);
    free(text);
    free(json);
    free(error);
    return fault;
}

static void case_check(struct suite *suite, const char *folder, const char *id)
{
    char detail[SL_DIAG_TEXT_SIZE + 32] = "";
    const char *fault = case_run(folder, detail, sizeof(detail));
    const char *why = known_why(id);
    suite->cases++;
    if (fault == NULL && why == NULL) {
        suite->held++;
    } else if (fault != NULL && why != NULL) {
        suite->known++;
    } else {
        suite->failed++;
        print_error("%s: %s %s\n", id, fault ? fault : "holds, but is listed as known", detail);
    }
}

static void folder_check(struct suite *suite, const char *name)
{
    char folder[PATH_SIZE];
    char path[PATH_SIZE + 32];
    size_t size = 0;
    (void)snprintf(folder, sizeof(folder), "%.400s/%.60s", suite->root, name);
    (void)snprintf(path, sizeof(path), "%s/in.yaml", folder);
    char *text = file_read(path, &size);
    if (text != NULL) {
        free(text);
        case_check(suite, folder, name);
        return;
    }
    for (int i = 0; i < 100; i++) {
        char id[80];
        text = NULL;
        for (int digits = 2; digits <= 3 && text == NULL; digits++) {
            (void)snprintf(id, sizeof(id), "%.60s/%0*d", name, digits, i);
            (void)snprintf(folder, sizeof(folder), "%.400s/%s", suite->root, id);
            (void)snprintf(path, sizeof(path), "%s/in.yaml", folder);
            text = file_read(path, &size);
        }
        if (text == NULL) return;
        free(text);
        case_check(suite, folder, id);
    }
}

static void suite_every_case_holds_or_is_known(void **state)
{
    struct suite *suite = *state;
    struct dirent **names = NULL;
    int count = scandir(suite->root, &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        if (strlen(names[i]->d_name) == 4) folder_check(suite, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    print_message("%u cases: %u hold, %u known, %u failed\n", suite->cases, suite->held,
                  suite->known, suite->failed);
    assert_true(suite->cases >= CASES_MIN);
    assert_int_equal(suite->failed, 0);
}

int main(void)
{
    struct suite suite = {0};
    const char *suites = getenv("SLUICE_SUITES");
    if (suites == NULL) {
        print_message("skipped: SLUICE_SUITES is not set\n");
        return 77;
    }
    (void)snprintf(suite.root, sizeof(suite.root), "%.400s/yaml", suites);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(suite_every_case_holds_or_is_known, &suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
