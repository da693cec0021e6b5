/* SPDX-License-Identifier: MIT */
/* completion and the manual page, made from the tables of commands and options. */
#include <ctype.h>
#include <string.h>

#include "ctl/cli/cli.h"

/* ---- shells ---------------------------------------------------------------------------------- */

/* "auto|uring|epoll" as words; options whose value is a file or free text have none. */
static void choices_print(const struct cli_option *option)
{
    for (const char *at = option->value; *at != '\0'; at++) {
        (void)putchar(*at == '|' ? ' ' : *at);
    }
}

static bool has_choices(const struct cli_option *option)
{
    if (option->value == NULL || strchr(option->value, '|') == NULL) return false;
    for (const char *at = option->value; *at != '\0'; at++) {
        if (isupper((unsigned char)*at)) return false;
    }
    return true;
}

static bool is_path(const struct cli_option *option)
{
    static const char *const words[] = {"FILE", "DIR", "PATH"};
    for (size_t i = 0; option->value != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(option->value, words[i]) == 0) return true;
    }
    return false;
}

static void bash_values(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name != NULL; o++) {
        if (o->value == NULL) continue;
        if (o->letter != 0) (void)printf("        -%c|", o->letter);
        if (o->letter == 0) (void)printf("        ");
        (void)printf("--%s) ", o->name);
        if (has_choices(o)) {
            (void)printf("COMPREPLY=($(compgen -W '");
            choices_print(o);
            (void)printf("' -- \"$word\")); return ;;\n");
        } else if (is_path(o)) {
            (void)printf("COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
        } else {
            (void)printf("return ;;\n");
        }
    }
}

static void bash_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name != NULL; o++) (void)printf("--%s ", o->name);
}

/* The harness is a program of its own and knows its words. */
static const char bash_bench[] =
    "    bench)\n"
    "        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
    "            COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" bench --complete)\" -- "
    "\"$word\"))\n"
    "            return\n"
    "        fi\n"
    "        options=$(\"${COMP_WORDS[0]}\" bench --complete \"${COMP_WORDS[2]}\") ;;\n";
static const char zsh_bench[] = "    bench)\n"
                                "        if (( CURRENT == 2 )); then\n"
                                "            compadd -- $(sluice bench --complete)\n"
                                "        elif [[ $words[CURRENT] == -* ]]; then\n"
                                "            compadd -- $(sluice bench --complete $words[2])\n"
                                "        else\n"
                                "            _files\n"
                                "        fi ;;\n";

static void bash_print(void)
{
    (void)printf("# bash completion of sluice: eval \"$(sluice completion bash)\"\n"
                 "_sluice() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local command=${COMP_WORDS[1]} options=''\n"
                 "    COMPREPLY=()\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                 "        COMPREPLY=($(compgen -W '");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        (void)printf("%s ", c->name);
    }
    (void)printf("--help --version' -- \"$word\")); return\n    fi\n    case $command in\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, "bench") == 0) {
            (void)printf("%s", bash_bench);
            continue;
        }
        (void)printf("    %s)\n        options='", c->name);
        bash_options(c->options);
        bash_options(cli_common_options);
        (void)printf("'\n        case $before in\n");
        bash_values(c->options);
        bash_values(cli_common_options);
        (void)printf("        esac ;;\n");
    }
    (void)printf("    esac\n"
                 "    if [ \"${word:0:1}\" = - ]; then\n"
                 "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                 "    else\n"
                 "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
                 "    fi\n"
                 "}\n"
                 "complete -o filenames -F _sluice sluice\n");
}

/* Text inside '…[…]': no quotes, brackets or colons. */
static void zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)printf("'\\''");
        } else if (*text == '[' || *text == ']' || *text == ':') {
            (void)printf("\\%c", *text);
        } else {
            (void)putchar(*text);
        }
    }
}

static void zsh_action(const struct cli_option *option)
{
    if (option->value == NULL) return;
    (void)printf(":");
    zsh_text(option->value);
    (void)printf(":");
    if (has_choices(option)) {
        (void)printf("(");
        choices_print(option);
        (void)printf(")");
    } else if (is_path(option)) {
        (void)printf("_files");
    }
}

static void zsh_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name != NULL; o++) {
        const char *star = o->flags & CLI_LIST ? "*" : "";
        (void)printf(" \\\n            '%s--%s%s[", star, o->name, o->value != NULL ? "=" : "");
        zsh_text(o->help);
        (void)printf("]");
        zsh_action(o);
        (void)printf("'");
        if (o->letter == 0) continue;
        (void)printf(" '%s-%c[", star, o->letter);
        zsh_text(o->help);
        (void)printf("]");
        zsh_action(o);
        (void)printf("'");
    }
}

static void zsh_print(void)
{
    (void)printf("#compdef sluice\n"
                 "# zsh completion of sluice: eval \"$(sluice completion zsh)\"\n"
                 "_sluice() {\n"
                 "    local -a commands\n"
                 "    commands=(\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        (void)printf("        '%s:", c->name);
        zsh_text(c->summary);
        (void)printf("'\n");
    }
    (void)printf("    )\n"
                 "    if (( CURRENT == 2 )); then\n"
                 "        _describe command commands\n"
                 "        return\n"
                 "    fi\n"
                 "    shift words; (( CURRENT-- ))\n"
                 "    case $words[1] in\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, "bench") == 0) {
            (void)printf("%s", zsh_bench);
            continue;
        }
        (void)printf("    %s)\n        _arguments -s", c->name);
        zsh_options(c->options);
        zsh_options(cli_common_options);
        (void)printf(" \\\n            '*:file:_files' ;;\n");
    }
    (void)printf("    esac\n"
                 "}\n"
                 "if [ \"$funcstack[1]\" = _sluice ]; then _sluice \"$@\"; else compdef _sluice "
                 "sluice; fi\n");
}

int cli_completion(struct cli_args *args)
{
    size_t count;
    const char *const *operands = cli_operands(args, &count);
    if (count == 1 && strcmp(operands[0], "bash") == 0) {
        bash_print();
    } else if (count == 1 && strcmp(operands[0], "zsh") == 0) {
        zsh_print();
    } else {
        cli_error("completion: for which shell? bash or zsh");
        return CLI_USAGE;
    }
    return CLI_OK;
}

/* ---- the manual page ------------------------------------------------------------------------- */

/* Text for roff: a backslash, a minus, and a dot or quote at the beginning of a line. */
static void roff_text(const char *text)
{
    bool begins = true;
    for (; *text != '\0'; text++) {
        if (begins && (*text == '.' || *text == '\'')) (void)printf("\\&");
        if (*text == '\\') {
            (void)printf("\\e");
        } else if (*text == '-') {
            (void)printf("\\-");
        } else {
            (void)putchar(*text);
        }
        begins = *text == '\n';
    }
}

static void roff_options(const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name != NULL; o++) {
        (void)printf(".TP\n");
        if (o->letter != 0) (void)printf("\\fB\\-%c\\fR, ", o->letter);
        (void)printf("\\fB\\-\\-");
        roff_text(o->name);
        (void)printf("\\fR");
        if (o->value != NULL) {
            (void)printf(" \\fI");
            roff_text(o->value);
            (void)printf("\\fR");
        }
        (void)putchar('\n');
        roff_text(o->help);
        if (o->fallback != NULL) {
            (void)printf(" (default ");
            roff_text(o->fallback);
            (void)printf(")");
        }
        (void)putchar('\n');
    }
}

static void roff_command(const struct cli_command *command)
{
    (void)printf(".SS sluice %s", command->name);
    if (!command->raw) (void)printf(" [OPTIONS]");
    if (command->operands[0] != '\0') {
        (void)putchar(' ');
        roff_text(command->operands);
    }
    (void)printf("\n");
    roff_text(command->text);
    roff_options(command->options);
    (void)printf(".PP\n.nf\n");
    roff_text(command->examples);
    (void)printf(".fi\n");
}

void cli_print_manual(void)
{
    (void)printf(".TH SLUICE 1 \"\" \"sluice %s\" \"User Commands\"\n"
                 ".SH NAME\n"
                 "sluice \\- workflows of nodes at the speed of the kernel underneath\n"
                 ".SH SYNOPSIS\n"
                 "\\fBsluice\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIFILE\\fR...]\n"
                 ".SH COMMANDS\n",
                 SL_VERSION);
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) roff_command(c);
    (void)printf(".SH COMMON OPTIONS\n");
    roff_options(cli_common_options);
    (void)printf(
        ".SH CONFIGURATION\n"
        "A value is taken from the flag, else from the environment (\\fBSLUICE_\\fR and the "
        "option's name in capitals, with _ for \\-), else from \\fIsluice.yaml\\fR (the "
        "option's name as the key), else it is the default. \\fBsluice check \\-\\-config\\fR "
        "prints what holds, and why.\n"
        ".SH ENVIRONMENT\n"
        ".TP\n\\fBSLUICE_KEY\\fR\nThe key that seals secrets, 64 hexadecimal digits; without "
        "it the file \\fIsecret.key\\fR of the registry.\n"
        ".TP\n\\fBNOTIFY_SOCKET\\fR\nWhere \\fBstart\\fR tells a service manager that it is "
        "ready (sd_notify).\n"
        ".SH EXIT STATUS\n"
        "0 well, 1 failed or refused, 2 wrong usage, 3 unreachable, 4 timed out.\n");
}

int cli_help(struct cli_args *args)
{
    size_t count;
    const char *const *operands = cli_operands(args, &count);
    if (cli_is_set(args, "man")) {
        cli_print_manual();
    } else if (count == 0) {
        cli_print_overview(stdout);
    } else {
        const struct cli_command *command = cli_command_find(operands[0]);
        if (command == NULL) return cli_command_unknown(operands[0]);
        cli_print_help(stdout, command);
    }
    return CLI_OK;
}
