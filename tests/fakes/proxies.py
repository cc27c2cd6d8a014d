"""Apache and nginx before a Galaxy, on this machine, with the very lines that docs/proxy.md shows."""
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from galaxy_api_scripts.local_server.processes import port_in_use

from .ports import free_port

ROOT = Path(__file__).parents[2]

PAGE = (ROOT / "docs" / "proxy.md").read_text("utf-8")
APACHE, OLD_FORM = re.findall("```apache\n(.*?)```", PAGE, re.DOTALL)
NGINX, = re.findall("```nginx\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall("```console\n(.*?)```", PAGE, re.DOTALL)
ENABLED = re.search("`a2enmod ([a-z_ ]+)`", PAGE).group(1).split()
LINES = {"apache2": APACHE, "nginx": NGINX}
PACKAGES = {"apache2": "apache2-bin", "nginx": "nginx", "openssl": "openssl"}

# What stands around those lines: Debian's modules (and rewrite, for a limit), and places that need no rights.
MODULES = ["access_compat", "alias", "auth_basic", "authn_core", "authn_file", "authz_core", "authz_host", "authz_user",
           "deflate", "filter", "mpm_event", "proxy", "reqtimeout", "rewrite", "setenvif", *ENABLED]
AROUND = {
    "apache2": "\n".join([
        "ServerName localhost", "ServerRoot {folder}", "DefaultRuntimeDir {folder}", "PidFile pid", "ErrorLog log",
        "User www-data", "Group www-data", "Listen 127.0.0.1:{port}",
        *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES), "{lines}"]),
    "nginx": """daemon off; pid pid; error_log log; events {{}}
http {{
access_log off;
client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
{lines}
}}""",
}


def program(name):
    """The path of a program; None where it is not installed. Debian keeps servers off an ordinary user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def authority(folder):
    """Make a certificate authority, a certificate of its for localhost, and the password of somebody."""
    folder.chmod(0o755)     # Apache reads the passwords as www-data
    for name, subject, more in (
            ("authority", "/CN=Authority of a test", ["-addext", "basicConstraints=critical,CA:TRUE",
                                                      "-addext", "keyUsage=critical,keyCertSign"]),
            ("galaxy", "/CN=localhost", ["-CA", "authority.pem", "-CAkey", "authority.key",
                                         "-addext", "basicConstraints=critical,CA:FALSE",
                                         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2",
                "-subj", subject, *more, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    (folder / "passwords").write_text(f"somebody:{openssl(folder, 'passwd', '-apr1', 'pass/word').strip()}\n")


def openssl(folder, *line):
    return subprocess.run(["openssl", *line], cwd=folder, check=True, capture_output=True, text=True).stdout


def at_the_root(lines):
    """The lines as docs/proxy.md says they are for a Galaxy at the root of its host."""
    return re.sub(r'/galaxy(?=["\s])', "/", lines.replace("/galaxy/api", "/api"))


@contextmanager
def proxy(kind, folder, upstream, lines=None):
    """Run Apache or nginx before `upstream`, an address of host and port; yields its `url`, without a prefix."""
    port = free_port()
    lines = LINES[kind] if lines is None else lines
    for documented, ours in {
            "*:443": f"127.0.0.1:{port}", "listen 443": f"listen 127.0.0.1:{port}", "galaxy.example.org": "localhost",
            "/etc/ssl/certs/galaxy.pem": f"{folder}/galaxy.pem", "/etc/ssl/private/galaxy.key": f"{folder}/galaxy.key",
            f"/etc/{kind}/galaxy.passwords": f"{folder}/passwords", "127.0.0.1:8080": upstream}.items():
        lines = lines.replace(documented, ours)
    own = folder / f"{kind}-{port}"
    own.mkdir(mode=0o755)
    (own / "conf").write_text(AROUND[kind].format(folder=own, port=port, lines=lines))
    command = {"apache2": ["-DFOREGROUND", "-f", own / "conf"], "nginx": ["-p", own, "-c", own / "conf", "-e", "log"]}[kind]
    tied = [program("setpriv"), "--pdeathsig=TERM"] if program("setpriv") else []   # it goes when the tests are killed
    with open(own / "output", "w") as output:
        process = subprocess.Popen([*tied, program(kind), *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        while not port_in_use(port):
            assert process.poll() is None, [(own / name).read_text() for name in ("output", "log") if (own / name).exists()]
            time.sleep(0.02)
        yield SimpleNamespace(kind=kind, url=f"https://localhost:{port}")
    finally:
        process.terminate()
        process.wait(timeout=30)
