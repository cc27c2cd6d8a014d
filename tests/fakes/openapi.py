"""What the fake Galaxy says of its operations: a small document of each kind of thing that the real one has."""


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema, kind="application/json", **more):
    return {"requestBody": {"content": {kind: {"schema": schema}}, **more}}


def answer(schema, kind="application/json"):
    return {"responses": {"200": {"content": {kind: {"schema": schema}}}}}


def parameter(name, where, schema, **more):
    return {"name": name, "in": where, "schema": schema, **more}


HISTORY_ID = parameter("history_id", "path", {"type": "string"}, required=True, description="The history.")
SCHEMAS = {
    "NewHistory": {"type": "object", "properties": {
        "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Its name. It may be empty."},
        "all_datasets": {"type": "boolean", "default": True}}},
    "Share": {"type": "object", "required": ["user_ids"], "properties": {
        "user_ids": {"type": "array", "items": {"type": "string"}, "description": "Ids of `users`"},
        "share_option": {"anyOf": [ref("Option"), {"type": "null"}]}}},
    "Option": {"type": "string", "enum": ["make_public", "no_changes"]},
    "History": {"type": "object", "properties": {"id": {"type": "string"}, "tags": {"type": "array", "items": {}}}},
    "File": {"type": "object", "required": ["src", "place"], "properties": {
        "src": {"const": "file", "type": "string"}, "size": {"type": "integer"}, "place": ref("Place")}},
    "Folder": {"type": "object", "required": ["src"], "properties": {
        "src": {"const": "folder", "type": "string"}, "inner": {"type": "array", "items": ref("Entry")}}},
    "Entry": {"discriminator": {"propertyName": "src"}, "oneOf": [ref("File"), ref("Folder")]},
    "Place": {"type": "object", "required": ["path", "depth"], "properties": {
        "path": {"type": "string"}, "depth": {"type": "integer", "minimum": 2}}},
    "Loop": {"anyOf": [ref("Loop"), {"type": "null"}]},
}
DOCUMENT = {"openapi": "3.1.0", "components": {"schemas": SCHEMAS}, "paths": {
    "/api/histories": {
        "get": {"summary": "Returns histories.", **answer({"type": "array", "items": ref("History")}), "parameters": [
            parameter("limit", "query", {"type": "integer", "default": 100}), parameter("run-as", "header", {})]},
        "post": {"summary": "Creates a history.", **body(ref("NewHistory")), **answer(ref("History"))}},
    "/api/histories/{history_id}": {
        "get": {"summary": "Returns the history.", "parameters": [HISTORY_ID], **answer(ref("History"))},
        "delete": {"summary": "Deletes the history.", "parameters": [HISTORY_ID],
                   **body({"anyOf": [ref("Share"), {"type": "null"}]}), "responses": {"204": {"description": "Done"}}}},
    "/api/histories/{history_id}/share_with_users": {
        "put": {"summary": "Share this item.", "description": "It **may** be `shared`.", "parameters": [HISTORY_ID],
                **body(ref("Share"), required=True), **answer(ref("History"))}},
    "/api/histories/{history_id}/{type}s": {
        "get": {"summary": "Returns contents.", **answer({}), "security": [], "parameters": [
            HISTORY_ID, parameter("type", "path", {"enum": ["dataset", "collection"], "type": "string"}, required=True),
            parameter("since", "query", {"type": "string", "format": "date-time"}, required=True)]}},
    "/api/histories/most_recently_used": {"get": {"summary": "Returns the last history.", **answer(ref("History"))}},
    "/api/quotas/{id}": {"put": {"summary": "Updates a quota.", **body({"anyOf": [ref("NewHistory"), ref("Share")]}),
                                 **answer({"type": "string"})}},
    "/api/entries": {
        "post": {"summary": "Store entries.", **answer({}), **body(
            {"type": "object", "required": ["entries", "file", "count", "to"], "properties": {
                "entries": {"type": "array", "items": ref("Entry")}, "to": ref("Place"),
                "file": {"type": "string", "contentMediaType": "application/octet-stream"}, "count": {"type": "integer"},
                "loop": ref("Loop"), "options": {"type": "object", "additionalProperties": {"type": "string"}}}},
            kind="multipart/form-data")},
        "put": {"summary": "Rate.", **body({"type": "integer"}, required=True), **answer({"type": "string"}, "text/plain")},
        "patch": {"summary": "Change entries.", **body(ref("Entry"), required=True), **answer({}, "application/pdf")},
        "head": {"summary": "Are they there?"}},
    "/api/tools/{id}": {"get": {"tags": ["undocumented"], "description": "Not written yet.", "responses": {}}},
}}
