# SPDX-License-Identifier: MIT
"""Write text files as zero-terminated C arrays: embed.py OUT NAME=FILE…"""
import sys

with open(sys.argv[1], 'w') as out:
    out.write('/* Made by embed.py; do not edit. */\n')
    for item in sys.argv[2:]:
        name, path = item.split('=', 1)
        data = open(path, 'rb').read() + b'\0'
        out.write(f'static const char {name}[] = {{\n')
        for i in range(0, len(data), 16):
            out.write(''.join(f'{b},' if b < 128 else f'{b - 256},' for b in data[i:i + 16]) + '\n')
        out.write('};\n')
