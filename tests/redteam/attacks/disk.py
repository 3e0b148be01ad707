"""Disk filling. In its own folder it may write a little; the next program finds that folder empty."""

from __future__ import annotations

from attacks.entry import Attack

OWN = "its own folder has a bounded size and is emptied after it"
ATTACKS = (
    Attack(
        "one large file",
        OWN,
        """
def word(n):
    written = 0
    try:
        with open('large', 'wb', 0) as file:
            while written < 1 << 31: written += file.write(b'x' * (1 << 20))
    except OSError: pass
    return 'breach: %d MB' % (written >> 20) if written > 100 << 20 else 'x'
""",
    ),
    Attack(
        "many files",
        OWN,
        """
def word(n):
    count = 0
    try:
        while count < 20000:
            open('file-%d-%d' % (n, count), 'w').close()
            count += 1
    except OSError: pass
    return 'breach: %d files' % count if count > 10000 else 'x'
""",
    ),
    Attack(
        "many large files",
        OWN,
        """
def word(n):
    written = 0
    try:
        for number in range(500):
            with open('f%d' % number, 'wb', 0) as file:
                try:
                    for _ in range(8): written += file.write(b'x' * (1 << 20))
                except OSError: pass
    except OSError: pass
    return 'breach: %d MB' % (written >> 20) if written > 200 << 20 else 'x'
""",
    ),
    Attack(
        "a file with a hole",
        OWN,
        "import os\ndef word(n):\n    with open('hole', 'wb') as file:\n        file.truncate(1 << 40)\n"
        "    return 'breach: hole'",
    ),
    Attack(
        "a deep tree of folders",
        "a tree deeper than any path is removed all the same",
        "import os\ntry:\n    for _ in range(3000):\n        os.mkdir('d')\n        os.chdir('d')\n"
        "except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "folders that nobody may enter",
        "closed folders are removed all the same",
        "import os\ntry:\n    os.makedirs('a/b/c')\n    open('a/b/file', 'w').close()\n"
        "    os.chmod('a/b', 0)\n    os.chmod('a', 0)\n    os.chmod('.', 0)\nexcept OSError: pass\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "names that are hard to remove",
        "bytes, line ends, dots and links are names like others",
        "import os\nfor name in (b'\\xff\\xfe', b'a\\nb', b'-rf', b'...', b' ', b'x' * 255):\n"
        "    try: os.mkdir(name)\n    except OSError: pass\n"
        "try:\n    os.symlink('/', 'root')\n    os.symlink('self', 'self')\n    os.mkfifo('fifo')\n"
        "except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "deletes its directory",
        "the next program has one again",
        "import os\nos.rmdir(os.getcwd())\ndef word(n): return 'x'",
    ),
    Attack(
        "renames its directory",
        "the next program has one again",
        "import os\nfor name in ('../other', '/other'):\n    try: os.rename(os.getcwd(), name)\n"
        "    except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "keeps deleted files open",
        OWN,
        "import os\nkept = []\ndef word(n):\n    try:\n        for i in range(60):\n"
        "            kept.append(open('f', 'wb', 0))\n            os.unlink('f')\n"
        "            for _ in range(8): kept[-1].write(b'x' * (1 << 20))\n    except OSError: pass\n"
        "    return 'x'",
    ),
    Attack(
        "names that the clean-up would use",
        "what is made to stand in the way of the clean-up does not end the server",
        "import os\ntry:\n    os.makedirs('a/b/c')\n    for number in range(1, 100): "
        "os.makedirs(f'/lifted-1-{number}/x')\nexcept OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "all names used up",
        "a file system without room for another name is cleaned all the same",
        "import os\ntry:\n    for a in range(20):\n        for b in range(30): os.makedirs(f'{a}/{b}')\n"
        "except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "closes the folders above it",
        "nor does a root that nobody may enter end the server",
        "import os\nfor path in ('.', '..', '/'):\n    try: os.chmod(path, 0)\n    except OSError: pass\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "another folder in the place of its own",
        "its folder is what the server makes, not what it left under that name",
        "import os\ntry:\n    os.rename('/box', '/other')\n    os.symlink('/other', '/box')\n"
        "except OSError: pass\ntry:\n    os.rmdir('/box')\n    open('/box', 'w').write('x')\n"
        "except OSError: pass\ndef word(n): return 'x'",
    ),
)
