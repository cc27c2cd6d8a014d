"""How the fake Galaxy changes, copies and serves what is in libraries, with Galaxy 26.1's traps."""
import html

CHANGES = """
    PATCH library libraries/(\\w+)
    PUT folder folders/(\\w+)
    PATCH file libraries/datasets/(\\w+)
    POST folder_contents folders/(\\w+)/contents"""
DETAILS = {"file_ext": "txt", "genome_build": "?", "misc_info": "", "message": None, "tags": [], "can_user_modify": True,
           "can_user_manage": True}


class LibraryChanges:
    """`unwilling` are the ids of what answers 200 to a change of its name or description, and makes none; `kept` those of
    what answers 200 to its deletion, and stays."""

    def empty(self):
        self.unwilling, self.kept = set(), set()
        super().empty()

    # ------------------------------------------------------------------------------------------------------ what there is

    def get_file(self, ask, body, which):
        file = self.file(which)
        folder = next(folder for folder, about in self.folders.items() if file in about["children"])
        return {**DETAILS, "uuid": f"u{which}", "folder_id": folder, **file, "content": None,
                **super().get_file(ask, body, which)}

    def get_folder(self, ask, body, which):
        about = super().get_folder(ask, body, which)
        own = [one for folder in self.folders.values() for one in folder["children"] if one["id"] == which]
        return {**about, "description": own[0].get("description") if own else "",
                "deleted": about["deleted"] or (about["parent_id"] is not None and not own)}

    def display_library_dataset(self, which):
        return self.file(which[1:])["content"], 200, {"Content-Type": "application/octet-stream", "ETag": f'"{which}"'}

    # ------------------------------------------------------------------------------------------------------------ changes

    def _change(self, about, body, names):
        if about["id"] not in self.unwilling:
            about.update({name: body[name] for name in names if body.get(name) is not None})
        return {name: value for name, value in about.items() if name not in ("content", "children")}

    def patch_library(self, ask, body, which):
        if body.get("name"):
            self._change(self.folders[self.libraries[which]["root_folder_id"]], body, ["name"])
        return self._change(self.libraries[which], body, ["name", "description", "synopsis"])

    def put_folder(self, ask, body, which):
        for about in (self.folders[which], *(one for folder in self.folders.values() for one in folder["children"]
                                             if one["id"] == which)):
            told = self._change(about, body, ["name", "description"])
        return told

    def patch_file(self, ask, body, which):
        body = {name: html.escape(value, quote=False) if isinstance(value, str) else value for name, value in body.items()}
        return self._change(self.file(which), body, ["name", "message", "file_ext", "genome_build", "tags"])

    def post_contents(self, ask, body, which, late=0.0):
        made = super().post_contents(ask, body, which)
        self.datasets[made["id"]]["of_file"] = body["content"]
        return made

    def post_folder(self, ask, body, which, late=0.0):
        made = super().post_folder(ask, body, which)
        self._inherit(made["id"], which)
        return made

    def post_folder_contents(self, ask, body, which, late=0.0):
        """Copy a history's dataset. Its new folder says who may modify the copy, and, if somebody may manage the folder, who
        may manage both."""
        dataset = self.datasets[body["from_hda_id"]]
        file = self.file(dataset["of_file"])
        kept = {name: file[name] for name in ("file_ext", "genome_build", "misc_info", "hash") if name in file}
        made = self.add(which, dataset["name"], dataset["content"], uuid=file.get("uuid", f"u{file['id']}"),
                        message=body.get("ldda_message"), **kept)
        self.twins[made] = self.twins.get(file["id"], file["id"])
        self._inherit(made, which)
        return {**self._listed(self.file(made)), "library_dataset_id": made}

    def _inherit(self, which, folder):
        own, rights = self.rights_of(which), self.rights_of(folder)
        own["modify"] = list(rights["modify"])
        if which in self.folders:
            own.update(add=list(rights["add"]), manage=list(rights["manage"]))
        elif rights["manage"]:
            own["manage"][:] = rights["manage"]

    def delete_file(self, ask, body, which):
        return {"id": which, "deleted": True} if which in self.kept else super().delete_file(ask, body, which)
