# Propose how a command line of these scripts goes on, for every shell.
#
#   awk -f propose.awk TABLE COMMAND WORD... LAST
#
# LAST is the word to complete, up to the cursor. Each line of the output is a proposal for it, a tab and what that is about;
# or <file> or <folder> and the beginning of LAST after which the shell is to complete a path. No request is sent: addresses
# are those that route_list.py, route_show.py and --check have kept.

BEGIN {
    FS = "\t"
    last = ARGV[ARGC - 1]
    read_table(ARGV[1], ARGV[2])
    if (!is_known) exit
    read_words()
    if (pending != "") propose(pending, "", last)
    else if (!ended && match(last, /^--[^=]+=/) && substr(last, 1, RLENGTH) in takes)
        propose(takes[substr(last, 1, RLENGTH)], substr(last, 1, RLENGTH), substr(last, RLENGTH + 1))
    else {
        if (!ended && last ~ /^-/)
            for (i = 1; i <= options; i++) offer(option[i], about[i])
        if (last !~ /^-./) propose(place(typed + 1), "", last)
    }
    exit
}

# What the table says of the command: `option`, `about`, `takes` (names and what each takes) and `places`.
function read_table(table, command,    i, row, names, name, shared, n) {
    while ((getline row < table) > 0) {
        split(row, name, FS)
        if (name[1] == "command") {
            if (is_known) return
            has_commands = 1
            is_known = name[2] == command
            split(name[3], places, " ")
            n = split(name[4], names, " ")
            for (i = 1; is_known && i <= n; i++) { split(shared[names[i]], name, FS); add_option(name[2], name[3], name[4]) }
        } else if (name[1] == "option") {
            if (is_known) add_option(name[2], name[3], name[4])
            else if (!has_commands) shared[name[2]] = row
        }
    }
}

function add_option(names, kind, text,    i, n, name) {
    n = split(names, name, ",")
    for (i = 1; i <= n; i++) {
        option[++options] = name[i]
        about[options] = text
        if (kind != "") takes[name[i]] = kind
        if (kind != "" && name[i] ~ /^-[^-]/) takes[name[i] "="] = kind
    }
}

# What the words before the last one leave: `typed` arguments, the `pending` value of an option, whether options have `ended`.
function read_words(    i, word) {
    for (i = 3; i < ARGC - 1; i++) {
        word = ARGV[i]
        if (pending != "") { note(pending, word); pending = "" }
        else if (ended || word !~ /^-./) { note(place(++typed), word); argument[typed] = word }
        else if (word == "--") ended = 1
        else if (word == "--patch") is_patch = 1
        else if (match(word, /^--[^=]+=/)) note(takes[substr(word, 1, RLENGTH)], substr(word, RLENGTH + 1))
        else if (word in takes) pending = takes[word]
        else if ((word "=") in takes) pending = takes[word "="]
    }
}

function note(kind, word) { if (kind ~ /<key>/) key = word }

# What the argument of that number is.
function place(number,    n) {
    for (n = 1; n in places; n++)
        if (n == number || places[n] ~ /\.\.\.$/) return clean(places[n])
    return "?"
}

function clean(kind) { sub(/\.\.\.$/, "", kind); return kind }

function offer(word, text) { if (index(word, last) == 1 && !(word in offered)) { offered[word] = 1; print word "\t" text } }

# Propose what `part` may become, which stands after `head` in the last word.
function propose(kind, head, part,    i, n, kinds) {
    if (kind ~ /,/) { propose_names(kind, head, part); return }
    n = split(kind, kinds, "|")
    for (i = 1; i <= n; i++) {
        kind = kinds[i]
        if (kind == "<file>" || kind == "<folder>") print kind head
        else if (kind == "<name=file>") { if (match(part, /^[^=]*=/)) print "<file>" head substr(part, 1, RLENGTH) }
        else if (kind == "<pair>") { if (match(part, /^@|^[^=:@]*(:=@|@=)/)) print "<file>" head substr(part, 1, RLENGTH) }
        else if (kind == "<key>") propose_keys(head)
        else if (kind == "<server>") propose_servers(head)
        else if (kind ~ /^<path:/) propose_addresses(is_patch ? "PATCH" : substr(kind, 7, length(kind) - 7), part)
        else if (kind == "<route>") { read_addresses(); propose_path(argument[typed], "", "", part, 1) }
        else if (kind != "?") offer(head kind, "")
    }
}

function propose_names(kind, head, part,    i, n, names, before) {
    n = split(kind, names, ",")
    before = match(part, /^.*,/) ? substr(part, 1, RLENGTH) : ""
    for (i = 1; i <= n; i++) if (index("," before, "," names[i] ",") == 0) offer(head before names[i], "")
}

# ------------------------------------------------------------------------------------------------------ keys and servers

# The names in ~/.parsec.yml of entries with a url, and that url; no key is ever printed, nor a password in a url.
function read_entries(    command, row, name, start) {
    command = "cat \"$HOME/.parsec.yml\" 2>/dev/null"
    while ((command | getline row) > 0) {
        sub(/(^|[ ])#.*$/, "", row)
        start = "^[ ]*[\"']?"
        if (match(row, /^["']?[A-Za-z0-9_.-]+["']?[ ]*:/)) {
            name = substr(row, 1, RLENGTH)
            gsub(/["' :]/, "", name)
            row = substr(row, RLENGTH + 1)
            if (name == "__default") { default_entry = bare_value(row); continue }
            if (length(name) == 32 && name !~ /[^0-9a-f]/) name = ""        # a key that stands where a name should
        }
        if (row ~ /^[^"']*[{]/) start = "[{,][ ]*[\"']?"
        if (name != "" && !(name in entry_url) && match(row, start "url[\"']?[ ]*:[ ]*")) {
            entry[++entries] = name
            entry_url[name] = public_address(bare_value(substr(row, RSTART + RLENGTH)))
        }
    }
    close(command)
}

function bare_value(text) { sub(/^[ ]*["']?/, "", text); sub(/["' ,}#\r].*$/, "", text); return text }

# A server's address without a password or a query, "" for what is none, as a key that stands where the address should.
function public_address(text) {
    sub(/[?].*$/, "", text)
    sub(/\/\/[^\/]*@/, "//", text)
    if (text ~ /^https?:\/\/[][A-Za-z0-9]/ && text !~ /[^][A-Za-z0-9_.:\/~%-]/) return text
    return text ~ /^[A-Za-z0-9-]+([.:][A-Za-z0-9-]+)+(\/[A-Za-z0-9_.\/~%-]*)?$/ ? text : ""
}

function propose_keys(head,    i) {
    read_entries()
    for (i = 1; i <= entries; i++) offer(head "@" entry[i], entry_url[entry[i]])
}

# `base`, the addresses of servers whose operations are kept; `method`, `path`, `summary` of these, `of` which server.
function read_addresses(    command, row, part) {
    command = "cat \"${XDG_STATE_HOME:-$HOME/.local/state}\"/galaxy-api-scripts/routes/*.addresses 2>/dev/null"
    while ((command | getline row) > 0) {
        if (row ~ /^https?:\/\/[^\t ]+$/) base[++bases] = row
        else if (split(row, part, FS) >= 2 && part[2] ~ /^[A-Za-z0-9\/_.{}~:-]+$/) {
            method[++operations] = part[1]
            path[operations] = part[2]
            summary[operations] = part[3]
            of[operations] = bases
        }
    }
    close(command)
}

function propose_servers(head,    i) {
    read_addresses()
    for (i = 1; i <= bases; i++) offer(head base[i], "")
}

function bare_server(url) { sub(/^https?:\/\//, "", url); sub(/\/(api(\/.*)?)?$/, "", url); return url }

# Addresses of the API: whole, or from / on for the server that is looked up.
function propose_addresses(which, part,    i, server) {
    read_addresses()
    if (part == "" || part ~ /^\//) {
        server = bare_server(looked_up())
        for (i = 1; i <= bases; i++) if (bare_server(base[i]) == server) break
        propose_path(which, "", i > bases ? "" : i, part, 0)
    }
    if (part !~ /^\//)
        for (i = 1; i <= bases; i++) {
            if (index(part, base[i] "/") == 1) propose_path(which, base[i], i, substr(part, length(base[i]) + 1), 0)
            else if (index(part, bare_server(base[i]) "/") == 1)
                propose_path(which, bare_server(base[i]), i, substr(part, length(bare_server(base[i])) + 1), 0)
            else offer(base[i] "/api/", "")
        }
}

function looked_up() {
    read_entries()
    if (key ~ /^@/) return entry_url[substr(key, 2)]
    if (ENVIRON["GALAXY_URL"] != "") return ENVIRON["GALAXY_URL"]
    return default_entry != "" ? entry_url[default_entry] : entries == 1 ? entry_url[entry[1]] : ""
}

# The next names of the paths that fit `part`, in which an id can stand for a parameter. What `server` (all for "") can do.
function propose_path(which, head, server, part, with_parameters,    i, j, m, n, names, given, before) {
    if (part == "") part = "/"
    n = split(part, given, "/")
    before = substr(part, 1, length(part) - length(given[n]))
    for (i = 1; i <= operations; i++) {
        if ((which != "*" && which != method[i]) || (server != "" && server != of[i])) continue
        m = split(path[i], names, "/")
        if (m < n || (names[n] ~ /[{]/ && !with_parameters)) continue
        for (j = 1; j < n; j++) if (names[j] != given[j] && (names[j] !~ /[{]/ || given[j] == "")) break
        if (j == n) offer(head before names[n] (m > n ? "/" : ""), m > n ? "" : summary[i])
    }
}
