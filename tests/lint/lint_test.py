#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lint finds what it is there to find: a small tree with one fault of each kind."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "/* SPDX-License-Identifier: MIT */\n/* A file. */\n"
MESON = "".join(f"subdir('{name}')\n" for name in
                ("core/base", "codecs/flat", "codecs/json", "core/ring", "core/shard", "io/uring", "nodes/flow", "bench", "tests"))


class LintTest(unittest.TestCase):
    def lint(self, files):
        """Run the lint over `files` (path → text); the faults as (path, rule) in order."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"meson.build": MESON, **files}.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            command = [sys.executable, os.path.join(HERE, "lint.py"), root, "--no-compile"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            faults = [line.split(":") for line in done.stdout.split("\n") if line.count(":") >= 3]
            self.assertEqual(done.returncode, 1 if faults else 0, done.stdout + done.stderr)
            return [(fault[0], fault[2].strip()) for fault in faults]

    def check(self, path, body, *rules, **more):
        files = {path: HEAD + body, **{name.replace("__", "/"): HEAD + text for name, text in more.items()}}
        self.assertEqual([rule for _, rule in self.lint(files)], list(rules))

    def test_clean_file_has_no_fault(self):
        self.check("core/base/a.c", "static int one(void)\n{\n    return 1;\n}\n")

    def test_floors_upward_include_is_found(self):
        header = {"core/shard/s.h": HEAD + "#pragma once\n"}
        self.assertEqual(self.lint({"core/ring/r.c": HEAD + '#include "core/shard/s.h"\n', **header}),
                         [("core/ring/r.c", "floors")])
        self.assertEqual(self.lint({"nodes/flow/n.c": HEAD + '#include "core/shard/s.h"\n', **header}), [])

    def test_floors_codec_may_not_use_another_codec(self):
        header = {"codecs/flat/f.h": HEAD + "#pragma once\n"}
        self.assertEqual(self.lint({"core/ring/r.c": HEAD + '#include "codecs/flat/f.h"\n', **header}),
                         [("core/ring/r.c", "floors")])

    def test_floors_nothing_uses_tests(self):
        header = {"tests/t.h": HEAD + "#pragma once\n"}
        self.assertEqual(self.lint({"nodes/flow/n.c": HEAD + '#include "tests/t.h"\n', **header}),
                         [("nodes/flow/n.c", "floors")])

    def test_floors_include_not_from_the_root_is_found(self):
        self.check("core/base/a.c", '#include "a.h"\n', "floors", core__base__a=".")

    def test_only_includer_named_library_in_wrong_folder(self):
        self.check("core/shard/a.c", "#include <liburing.h>\n", "only-includer")
        self.check("io/uring/a.c", "#include <liburing.h>\n")

    def test_only_includer_unknown_library_in_two_folders(self):
        files = {"core/base/a.c": HEAD + "#include <new.h>\n", "io/uring/a.c": HEAD + "#include <new.h>\n"}
        self.assertEqual(self.lint(files), [("io/uring/a.c", "only-includer")])

    def test_function_length_71_lines_is_found(self):
        body = "    ;\n" * 71
        self.check("core/base/a.c", "static void a(void)\n{\n" + body + "}\n", "function-length")
        self.check("core/base/a.c", "static void a(void)\n{\n" + body[:-6] + "}\n")

    def test_function_length_reason_must_be_given_and_used(self):
        long_one = HEAD + "static void a(void)\n{\n" + "    ;\n" * 71 + "}\n"
        reason = "tests/lint/long_functions.txt"
        self.assertEqual(self.lint({"core/base/a.c": long_one, reason: "core/base/a.c:a one switch of states\n"}), [])
        self.assertEqual(self.lint({"core/base/a.c": long_one, reason: "core/base/a.c:a because\n"}), [(reason, "reasons")])
        self.assertEqual(self.lint({reason: "core/base/a.c:a one switch of states\n"}), [(reason, "reasons")])

    def test_file_length_801_lines_is_found(self):
        self.check("core/base/a.c", "\nint sl_x;\n" * 400, "file-length")

    def test_head_missing_parts_are_found(self):
        self.assertEqual(self.lint({"core/base/a.c": "int sl_x;\n"}), [("core/base/a.c", "head")] * 2)
        self.assertEqual(self.lint({"core/base/a.h": HEAD}), [("core/base/a.h", "head")])

    def test_comments_slashes_are_found_outside_strings(self):
        self.check("core/base/a.c", "int sl_x; // no\n", "comments")
        self.check("core/base/a.c", 'const char *sl_x = "http://x"; /* http://x */\n')

    def test_todo_without_issue_is_found(self):
        self.check("core/base/a.c", "/* TODO: later */\n", "todo")
        self.check("core/base/a.c", "/* TODO(#7): later */\n")

    def test_lines_tabs_and_trailing_space_are_found(self):
        self.check("core/base/a.c", "int\tsl_x; \n", "lines", "lines")

    def test_banned_functions_are_found(self):
        self.check("core/base/a.c", "static void a(char *x)\n{\n    strcpy(x, x);\n}\n", "banned")
        self.check("core/base/a.c", "static void a(void)\n{\n    goto x;\n}\n", "banned")
        self.check("codecs/json/a.c", "static void a(void)\n{\n    goto x;\n}\n")

    def test_banned_typedef_of_a_struct_but_not_of_a_function(self):
        self.check("core/base/a.c", "typedef struct x y;\n", "banned")
        self.check("core/base/a.c", "typedef struct x sl_make_fn(int a);\n")

    def test_names_public_function_needs_the_prefix(self):
        header = {"core/base/a.h": HEAD + "#pragma once\nint one(void);\n"}
        self.assertEqual(self.lint(header), [])  # nobody outside the folder uses it
        user = {"io/uring/u.c": HEAD + '#include "core/base/a.h"\n'}
        self.assertEqual(self.lint({**header, **user}), [("core/base/a.h", "names")])

    def test_names_undeclared_function_must_be_static(self):
        self.check("core/base/a.c", "int sl_one(void)\n{\n    return 1;\n}\n", "names")
        self.check("core/base/a.c", "static int sl_one(void)\n{\n    return 1;\n}\n", "names")


if __name__ == "__main__":
    unittest.main()
