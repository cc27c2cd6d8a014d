"""What FakeGalaxy tells of users and histories to who looks after the disk."""
ROUTES = """
    GET users users
    GET user_usage users/(\\w+)
    GET store_usage users/(\\w+)/objectstore_usage
    POST undelete histories/deleted/(\\w+)/undelete"""


class Disk:
    """A part of FakeGalaxy."""

    def get_users(self, ask, body):
        return [one for one in self.users.values() if not int(ask.get("offset", 0))]

    def get_user_usage(self, ask, body, which):
        used = sum(len(one["content"]) for one in self.datasets.values() if not one["purged"])
        user = next((one for one in self.users.values() if one["id"] == which), None)
        return {**user, "total_disk_usage": float(used), "quota": "unlimited", "quota_percent": None} if user else \
            self.refuse(400, {"err_msg": "no such user", "err_code": 400008})

    def get_store_usage(self, ask, body, which):
        return []

    def history_facts(self, one, ask):
        """More of a history's fields, for who asks for them."""
        keys, shared = ask.get("keys", "").split(","), one.get("sharing", {})
        [user] = self.users.values()
        facts = {"user_id": user["id"], "username": user["username"], "archived": False, "slug": None, "size": 0,
                 "annotation": None,
                 "published": shared.get("published", False), "importable": shared.get("importable", False),
                 "contents_active": {"deleted": sum(self.datasets[which]["deleted"] for which in one["contents"]
                                                    if which in self.datasets)}}
        return {name: value for name, value in facts.items() if name in keys and {"user_id", "contents_active"} & {*keys}}

    def post_undelete(self, ask, body, which):
        return self.put_history(ask, {"deleted": False}, which)
