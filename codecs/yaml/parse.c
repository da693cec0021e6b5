/* SPDX-License-Identifier: MIT */
/*
 * libyaml's events become trees, documents and the table of texts. libyaml returns 1 and 0 and
 * counts characters; both are turned into our rules here and nowhere else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "codecs/flat/flat_fast.h"
#include "codecs/yaml/source.h"
#include "codecs/yaml/tree.h"
#include "core/base/assertion.h"
#include "core/base/limit.h"

struct yaml_anchor {
    size_t name_off; /* in the tree's bytes */
    size_t name_size;
    uint32_t node;
};

struct yaml_parse {
    yaml_parser_t parser;
    struct yaml_source source;
    size_t read_off; /* bytes of the source that libyaml has */
    bool read_end;   /* and the line end after them */
    struct yaml_tree tree;
    struct yaml_anchor *anchors; /* array of anchors_cap */
    uint32_t anchors_count;
    uint32_t anchors_cap;
    uint32_t aliases_count;
    uint32_t open[SL_PAYLOAD_DEPTH_MAX]; /* nodes whose end has not come */
    uint32_t depth;
    uint32_t root;
    struct sl_yaml yaml; /* what is done */
    size_t docs_cap;
    size_t texts_cap;
    struct sl_mem *mem;
    const char *file;
    struct sl_diags *diags;
    uint32_t flags;
};

static struct sl_pos mark_pos(struct yaml_parse *parse, yaml_mark_t mark)
{
    return yaml_source_pos(&parse->source, yaml_source_seek(&parse->source, mark.index));
}

/* ------------------------------------------------------------------------------------------ */
/* Mistakes of syntax                                                                           */

struct problem_hint {
    const char *problem; /* of libyaml */
    const char *hint;
};

static const struct problem_hint problem_hints[] = {
    {"mapping values are not allowed in this context",
     "a text that contains \": \" needs quotes; keys of one map stand in one column"},
    {"did not find expected key", "look at the indentation: keys of one map stand in one column"},
    {"did not find expected '-' indicator",
     "look at the indentation: entries of one list stand in one column"},
    {"could not find expected ':'",
     "a key needs a colon and a space; lines of a text must be indented deeper than its key"},
    {"found undefined tag handle", "a text that begins with \"!\" needs quotes"},
    {"did not find expected ',' or ']'",
     "close the list with \"]\", or quote texts that contain , [ ] { }"},
    {"did not find expected ',' or '}'",
     "close the map with \"}\", or quote texts that contain , [ ] { }"},
    {"found unexpected end of stream", "a quote is not closed"},
    {"block sequence entries are not allowed in this context",
     "a list begins on the line below its key"},
    {"did not find expected <document start>",
     "what stands before this line is a whole document; separate documents with ---"},
    {"did not find expected hexdecimal number",
     "in double quotes \\ begins an escape; use single quotes"},
    {"found unknown escape character", "in double quotes \\ begins an escape; use single quotes"},
    {"invalid leading UTF-8 octet", "save the file as UTF-8"},
    {"invalid trailing UTF-8 octet", "save the file as UTF-8"},
    {"incomplete UTF-8 octet sequence", "save the file as UTF-8"},
    {"control characters are not allowed", "write it as an escape in double quotes"},
};

static uint8_t byte_at(const struct yaml_parse *parse, size_t offset)
{
    return offset < parse->source.text.size ? parse->source.text.data[offset] : 0;
}

static void report_hint(struct yaml_parse *parse, struct sl_diag *diag, size_t offset)
{
    sl_assert(parse->parser.problem != NULL);
    const char *problem = parse->parser.problem;
    uint8_t c = byte_at(parse, offset);
    if (c == '\t') {
        sl_diag_hint(diag, "a tab cannot indent; use spaces");
        return;
    }
    if (strcmp(problem, "found character that cannot start any token") == 0) {
        sl_diag_hint(diag, "a text that begins with \"%c\" needs quotes", c);
        return;
    }
    for (size_t i = 0; i < sizeof(problem_hints) / sizeof(problem_hints[0]); i++) {
        if (strcmp(problem, problem_hints[i].problem) == 0) {
            sl_diag_hint(diag, "%s", problem_hints[i].hint);
            return;
        }
    }
}

/* Report what stopped libyaml. -EINVAL or -ENOMEM. */
static int report_problem(struct yaml_parse *parse)
{
    const yaml_parser_t *parser = &parse->parser;
    if (parser->error == YAML_MEMORY_ERROR) return -ENOMEM;
    sl_assert(parser->problem != NULL);
    if (parser->error == YAML_READER_ERROR) {
        size_t offset = parser->problem_offset + parse->source.skipped;
        struct sl_diag *diag =
            yaml_error(parse->diags, parse->file, "yaml_text",
                       yaml_source_pos(&parse->source, offset), "%s", parser->problem);
        report_hint(parse, diag, offset);
        return -EINVAL;
    }
    size_t offset = yaml_source_seek(&parse->source, parser->problem_mark.index);
    struct sl_pos pos = yaml_source_pos(&parse->source, offset);
    struct sl_diag *diag;
    bool elsewhere =
        parser->context != NULL && parser->context_mark.index != parser->problem_mark.index;
    if (elsewhere) {
        struct sl_pos context = mark_pos(parse, parser->context_mark);
        diag = yaml_error(parse->diags, parse->file, "yaml_syntax", pos,
                          "%s %s that begins at line %u, column %u", parser->problem,
                          parser->context, context.line, context.column);
    } else {
        diag = yaml_error(parse->diags, parse->file, "yaml_syntax", pos, "%s", parser->problem);
    }
    report_hint(parse, diag, offset);
    return -EINVAL;
}

/* ------------------------------------------------------------------------------------------ */
/* Nodes                                                                                        */

static enum yaml_tag tag_read(const yaml_char_t *tag)
{
    static const char *const names[] = {"str",   "null",   "bool", "int",
                                        "float", "binary", "map",  "seq"};
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    if (text == NULL) return YAML_TAG_NONE;
    if (strcmp(text, "!") == 0) return YAML_TAG_STR;
    if (strncmp(text, prefix, sizeof(prefix) - 1) != 0) return YAML_TAG_OTHER;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text + sizeof(prefix) - 1, names[i]) == 0) {
            return (enum yaml_tag)(YAML_TAG_STR + i);
        }
    }
    return YAML_TAG_OTHER;
}

static void tag_set(struct yaml_parse *parse, uint32_t index, const yaml_char_t *tag)
{
    sl_assert(index != 0);
    struct yaml_node *node = &parse->tree.nodes[index];
    node->tag = (uint8_t)tag_read(tag);
    /* "!" on a list or a map only says that it is one. */
    if (node->tag == YAML_TAG_STR && node->kind != YAML_NODE_SCALAR && tag[1] == '\0') {
        node->tag = YAML_TAG_NONE;
    }
    if (node->tag == YAML_TAG_OTHER && (parse->flags & SL_YAML_TAGS_STRICT)) {
        (void)yaml_error(parse->diags, parse->file, "yaml_tag", node->pos,
                         "tag \"%.64s\" has no meaning here", (const char *)tag);
    }
}

static int anchor_set(struct yaml_parse *parse, uint32_t index, const yaml_char_t *name)
{
    sl_assert(index != 0);
    sl_assert(parse->anchors_count <= SL_YAML_ANCHORS_MAX);
    if (name == NULL) return 0;
    if (parse->anchors_count == SL_YAML_ANCHORS_MAX) {
        (void)yaml_error(parse->diags, parse->file, "yaml_alias_limit",
                         parse->tree.nodes[index].pos, "more than %d anchors in one document",
                         SL_YAML_ANCHORS_MAX);
        return -EINVAL;
    }
    if (parse->anchors_count == parse->anchors_cap) {
        uint32_t cap = parse->anchors_cap ? parse->anchors_cap * 2 : 16;
        struct yaml_anchor *anchors = realloc(parse->anchors, cap * sizeof(*anchors));
        if (anchors == NULL) return -ENOMEM;
        parse->anchors = anchors;
        parse->anchors_cap = cap;
    }
    struct sl_slice text = sl_slice_from_str((const char *)name);
    struct yaml_anchor *anchor = &parse->anchors[parse->anchors_count];
    if (!yaml_tree_text(&parse->tree, text, &anchor->name_off)) return -ENOMEM;
    anchor->name_size = text.size;
    anchor->node = index;
    parse->anchors_count++;
    return 0;
}

/* True if two braces stand at `pos`, of which it is the second: an unquoted placeholder. */
static bool is_brace_pair(struct yaml_parse *parse, struct sl_pos pos)
{
    if (pos.column < 2 || pos.line != parse->source.line) return false;
    size_t offset = parse->source.line_start + pos.column - 1;
    return byte_at(parse, offset) == '{' && byte_at(parse, offset - 1) == '{';
}

/* Hang the node into what is open; the first of a document is its root. */
static void node_place(struct yaml_parse *parse, uint32_t index)
{
    sl_assert(index != 0);
    sl_assert(parse->depth <= SL_PAYLOAD_DEPTH_MAX);
    struct yaml_tree *tree = &parse->tree;
    if (parse->depth == 0) {
        parse->root = index;
        return;
    }
    uint32_t parent = parse->open[parse->depth - 1];
    bool key = tree->nodes[parent].kind == YAML_NODE_MAP && tree->nodes[parent].count % 2 == 0;
    enum yaml_node_kind kind = (enum yaml_node_kind)tree->nodes[yaml_tree_follow(tree, index)].kind;
    if (key && kind != YAML_NODE_SCALAR) {
        struct sl_diag *diag =
            yaml_error(parse->diags, parse->file, "yaml_key", tree->nodes[index].pos,
                       "a %s cannot be a key", kind == YAML_NODE_MAP ? "map" : "list");
        bool braces = is_brace_pair(parse, tree->nodes[index].pos);
        sl_diag_hint(diag, braces ? "a placeholder needs quotes: '{{ .NAME }}'"
                                  : "keys are texts; a text that begins with { or [ needs quotes");
    }
    yaml_tree_append(tree, parent, index);
}

static int on_alias(struct yaml_parse *parse, const yaml_event_t *event)
{
    struct yaml_tree *tree = &parse->tree;
    struct sl_pos pos = mark_pos(parse, event->start_mark);
    struct sl_slice name = sl_slice_from_str((const char *)event->data.alias.anchor);
    if (++parse->aliases_count > SL_YAML_ALIAS_NODES_MAX) {
        (void)yaml_error(parse->diags, parse->file, "yaml_alias_limit", pos,
                         "more than %d aliases in one document", SL_YAML_ALIAS_NODES_MAX);
        return -EINVAL;
    }
    uint32_t target = 0;
    for (uint32_t i = parse->anchors_count; i > 0 && target == 0; i--) {
        const struct yaml_anchor *anchor = &parse->anchors[i - 1];
        struct sl_slice other = sl_slice_make(tree->bytes + anchor->name_off, anchor->name_size);
        if (sl_slice_eq(name, other)) target = anchor->node;
    }
    if (target == 0) {
        (void)yaml_error(parse->diags, parse->file, "yaml_alias", pos,
                         "no anchor \"&%.*s\" before this alias", SL_SLICE_FMT(name));
    } else if (tree->nodes[target].open) {
        (void)yaml_error(parse->diags, parse->file, "yaml_alias", pos,
                         "alias \"*%.*s\" stands inside the node that it names",
                         SL_SLICE_FMT(name));
        target = 0;
    }
    uint32_t index = yaml_tree_add(tree, target ? YAML_NODE_ALIAS : YAML_NODE_SCALAR, pos);
    if (index == 0) return -ENOMEM;
    tree->nodes[index].target = target;
    node_place(parse, index);
    return 0;
}

static enum sl_yaml_style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: return SL_YAML_SINGLE;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: return SL_YAML_DOUBLE;
    case YAML_LITERAL_SCALAR_STYLE: return SL_YAML_LITERAL;
    case YAML_FOLDED_SCALAR_STYLE: return SL_YAML_FOLDED;
    default: return SL_YAML_PLAIN;
    }
}

/* Remember how a text was written, unless that says nothing. */
static int text_note(struct yaml_parse *parse, const yaml_event_t *event, struct sl_pos pos,
                     size_t offset, struct sl_slice decoded)
{
    enum sl_yaml_style style = style_of(event->data.scalar.style);
    bool bare = event->data.scalar.anchor == NULL && event->data.scalar.tag == NULL;
    if (style == SL_YAML_PLAIN && bare && event->start_mark.line == event->end_mark.line) return 0;
    if (parse->yaml.texts_count == parse->texts_cap) {
        size_t cap = parse->texts_cap ? parse->texts_cap * 2 : 16;
        struct sl_yaml_text *texts = realloc(parse->yaml.texts, cap * sizeof(*texts));
        if (texts == NULL) return -ENOMEM;
        parse->yaml.texts = texts;
        parse->texts_cap = cap;
    }
    parse->yaml.texts[parse->yaml.texts_count++] =
        yaml_text_measure(&parse->source, pos, offset, style, decoded);
    parse->yaml.texts[parse->yaml.texts_count - 1].lines =
        1 + (uint32_t)(event->end_mark.line - event->start_mark.line);
    return 0;
}

static int on_scalar(struct yaml_parse *parse, const yaml_event_t *event)
{
    size_t offset = yaml_source_seek(&parse->source, event->start_mark.index);
    struct sl_pos pos = yaml_source_pos(&parse->source, offset);
    struct sl_slice text = sl_slice_make(event->data.scalar.value, event->data.scalar.length);
    uint32_t index = yaml_tree_add(&parse->tree, YAML_NODE_SCALAR, pos);
    if (index == 0) return -ENOMEM;
    struct yaml_node *node = &parse->tree.nodes[index];
    if (!yaml_tree_text(&parse->tree, text, &node->text_off)) return -ENOMEM;
    node->text_size = text.size;
    node->style = (uint8_t)style_of(event->data.scalar.style);
    tag_set(parse, index, event->data.scalar.tag);
    int result = anchor_set(parse, index, event->data.scalar.anchor);
    if (result == 0) result = text_note(parse, event, pos, offset, text);
    if (result == 0) node_place(parse, index);
    return result;
}

static int on_open(struct yaml_parse *parse, const yaml_event_t *event, enum yaml_node_kind kind,
                   const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct sl_pos pos = mark_pos(parse, event->start_mark);
    if (parse->depth == SL_PAYLOAD_DEPTH_MAX) {
        (void)yaml_error(parse->diags, parse->file, "yaml_depth", pos,
                         "nested deeper than %d levels", SL_PAYLOAD_DEPTH_MAX);
        return -EINVAL;
    }
    uint32_t index = yaml_tree_add(&parse->tree, kind, pos);
    if (index == 0) return -ENOMEM;
    parse->tree.nodes[index].open = true;
    tag_set(parse, index, tag);
    int result = anchor_set(parse, index, anchor);
    if (result == 0) {
        node_place(parse, index);
        parse->open[parse->depth++] = index;
    }
    return result;
}

static int on_close(struct yaml_parse *parse)
{
    sl_assert(parse->depth > 0);
    uint32_t index = parse->open[--parse->depth];
    struct yaml_node *node = &parse->tree.nodes[index];
    node->open = false;
    if (node->kind != YAML_NODE_MAP) return 0;
    return yaml_map_end(&parse->tree, index, parse->file, parse->diags);
}

/* ------------------------------------------------------------------------------------------ */
/* Documents                                                                                    */

static int doc_push(struct yaml_parse *parse, struct sl_value value, struct sl_pos pos)
{
    sl_assert(!sl_value_is_none(value));
    if (parse->yaml.docs_count == parse->docs_cap) {
        size_t cap = parse->docs_cap ? parse->docs_cap * 2 : 4;
        struct sl_yaml_doc *docs = realloc(parse->yaml.docs, cap * sizeof(*docs));
        if (docs == NULL) {
            sl_value_unref(value);
            return -ENOMEM;
        }
        parse->yaml.docs = docs;
        parse->docs_cap = cap;
    }
    parse->yaml.docs[parse->yaml.docs_count++] = (struct sl_yaml_doc){value, pos};
    return 0;
}

/* Build the document, even one with mistakes: building finds more of them. */
static int on_document_end(struct yaml_parse *parse)
{
    sl_assert(parse->depth == 0);
    sl_assert(parse->root != 0);
    struct sl_value value = sl_value_none();
    struct sl_pos pos = parse->tree.nodes[parse->root].pos;
    int result =
        yaml_tree_build(&parse->tree, parse->root, parse->mem, parse->file, &value, parse->diags);
    if (result == 0) result = doc_push(parse, value, pos);
    yaml_tree_reset(&parse->tree);
    parse->anchors_count = 0;
    parse->aliases_count = 0;
    parse->root = 0;
    return result == -EINVAL ? 0 : result; /* the mistakes are told; go on */
}

static int on_event(struct yaml_parse *parse, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT: return on_alias(parse, event);
    case YAML_SCALAR_EVENT: return on_scalar(parse, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(parse, event, YAML_NODE_LIST, event->data.sequence_start.anchor,
                       event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_open(parse, event, YAML_NODE_MAP, event->data.mapping_start.anchor,
                       event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_close(parse);
    case YAML_DOCUMENT_END_EVENT: return on_document_end(parse);
    default: return 0;
    }
}

static int parse_run(struct yaml_parse *parse)
{
    size_t errors_before = parse->diags->errors_count;
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parse->parser, &event)) return report_problem(parse);
        yaml_event_type_t type = event.type;
        int result = on_event(parse, &event);
        yaml_event_delete(&event);
        if (result != 0) return result;
        if (type == YAML_STREAM_END_EVENT) break;
    }
    return parse->diags->errors_count > errors_before ? -EINVAL : 0;
}

/*
 * Give libyaml the next bytes, and a line end after the last one: without it the last line of a
 * block scalar would be another one than with it.
 */
static int yaml_read(void *data, unsigned char *buffer, size_t size, size_t *ret_size)
{
    sl_assert(buffer != NULL);
    sl_assert(ret_size != NULL);
    struct yaml_parse *parse = data;
    struct sl_slice text = parse->source.text;
    size_t left = text.size - parse->read_off;
    size_t count = left < size ? left : size;
    if (count > 0) memcpy(buffer, text.data + parse->read_off, count);
    parse->read_off += count;
    if (count < size && !parse->read_end) {
        buffer[count++] = '\n';
        parse->read_end = true;
    }
    *ret_size = count;
    return 1;
}

int sl_yaml_parse(struct sl_slice text, const char *file, struct sl_mem *mem, uint32_t flags,
                  struct sl_yaml *ret_yaml, struct sl_diags *diags)
{
    return sl_yaml_parse_part(text, file, 1, mem, flags, ret_yaml, diags);
}

int sl_yaml_parse_part(struct sl_slice text, const char *file, uint32_t line, struct sl_mem *mem,
                       uint32_t flags, struct sl_yaml *ret_yaml, struct sl_diags *diags)
{
    sl_assert(line > 0);
    sl_assert(ret_yaml != NULL);
    sl_assert(diags != NULL);
    if (text.size > SL_SPEC_FILE_SIZE_MAX) {
        (void)yaml_error(diags, file, "yaml_size", (struct sl_pos){0, 0},
                         "text of %zu bytes, at most %d are read", text.size,
                         SL_SPEC_FILE_SIZE_MAX);
        return -EINVAL;
    }
    struct yaml_parse *parse = calloc(1, sizeof(*parse));
    if (parse == NULL) return -ENOMEM;
    parse->mem = mem;
    parse->file = file;
    parse->diags = diags;
    parse->flags = flags;
    if (!yaml_parser_initialize(&parse->parser)) {
        free(parse);
        return -ENOMEM;
    }
    yaml_source_init(&parse->source, text, line);
    parse->read_off = parse->source.skipped;
    parse->read_end = text.size > 0 && text.data[text.size - 1] == '\n';
    yaml_parser_set_encoding(&parse->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input(&parse->parser, yaml_read, parse);
    size_t first = diags->count;
    int result = parse_run(parse);
    sl_diags_sort(diags, first);
    yaml_parser_delete(&parse->parser);
    yaml_tree_fini(&parse->tree);
    free(parse->anchors);
    if (result == 0) {
        *ret_yaml = parse->yaml;
    } else {
        sl_yaml_fini(&parse->yaml);
    }
    free(parse);
    return result;
}

void sl_yaml_fini(struct sl_yaml *yaml)
{
    if (yaml == NULL) return;
    for (size_t i = 0; i < yaml->docs_count; i++) sl_value_unref(yaml->docs[i].value);
    free(yaml->docs);
    free(yaml->texts);
    *yaml = (struct sl_yaml){0};
}

int sl_yaml_parse_one(struct sl_slice text, struct sl_mem *mem, uint32_t flags,
                      struct sl_value *ret_value, struct sl_diag *reterr)
{
    sl_assert(ret_value != NULL);
    struct sl_yaml yaml = {0};
    struct sl_diags diags = {0};
    int result = sl_yaml_parse(text, "", mem, flags, &yaml, &diags);
    if (result == 0 && yaml.docs_count > 1) {
        result = sl_diag_set(reterr, "yaml_documents", yaml.docs[1].pos,
                             "one document expected, %zu found", yaml.docs_count);
    } else if (result == 0) {
        *ret_value = yaml.docs_count == 1 ? sl_value_ref(yaml.docs[0].value) : sl_value_null();
    } else if (diags.count > 0 && reterr != NULL) {
        *reterr = diags.items[0];
    }
    sl_diags_fini(&diags);
    sl_yaml_fini(&yaml);
    return result;
}
