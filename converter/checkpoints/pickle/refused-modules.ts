// Modules whose names have no place in a checkpoint: Python's standard library, except for what the list of known globals allows.

// biome-ignore format: a list
const standardLibrary = `
  StringIO abc aifc antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cPickle
  cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys commands compileall concurrent configparser contextlib
  contextvars copy copy_reg copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest email encodings
  ensurepip enum errno exceptions faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext
  glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3
  linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt
  ntpath nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix
  posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource
  rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3
  sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny
  tarfile telnetlib tempfile termios textwrap this threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle
  turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc
  zipapp zipfile zipimport zlib zoneinfo`;

/** Libraries that are not the standard one and of which only listed names are taken. */
const otherModules = [
  "torch",
  "numpy",
  "pip",
  "setuptools",
  "pkg_resources",
  "dill",
  "cloudpickle",
  "joblib",
  "pandas",
];

const refused = new Set([...standardLibrary.trim().split(/\s+/), ...otherModules]);

/** Modules of the user's own whose names begin as private ones do. */
const ownModules = new Set(["__main__", "__mp_main__", "__torch__"]);

/** True for a module that no network's class lives in. */
export function isRefused(module: string): boolean {
  const root = module.split(".", 1)[0]!;
  return refused.has(root) || (root.startsWith("_") && !ownModules.has(root));
}

/** True for a name such as "os.system", which reaches a refused module through one that imported it. */
export function reachesThrough(name: string): boolean {
  const parts = name.split(".");
  return parts.length > 1 && parts.some((part) => refused.has(part));
}
