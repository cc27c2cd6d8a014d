-- A ledger of schema 1, as commit 376ef72 wrote it: sample a has ended well, b has failed, the process was killed when Galaxy
-- had begun c and before it could note that, and d waits. FOLDER and SERVER stand for a path and an address.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('schema','1');
INSERT INTO "meta" VALUES('made','2026-11-28T20:15:08Z');
INSERT INTO "meta" VALUES('notes','{"mark": "19e64ff284", "histories_before": [], "histories": {"Copy: shared inputs": "0000000000000002"}, "shared": {"[\"FOLDER/all.tsv\", \"tabular\", 8, 1795937398652940793]": {"id": "0000000000000004", "sha256": "99f146b3a5517c152a21b8486eba91af259c68c154f2759ca63a87e93007c356"}}}');
INSERT INTO "meta" VALUES('server','SERVER');
INSERT INTO "meta" VALUES('user','me');
CREATE TABLE steps (id INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES units (key), attempt INTEGER NOT NULL,
        step TEXT NOT NULL, begun TEXT NOT NULL, ended TEXT, outcome TEXT);
INSERT INTO "steps" VALUES(1,'da60fd233215176a96b06170cf44e5c7',1,'history made','2026-11-28T20:15:08Z','2026-11-28T20:15:08Z','ok');
INSERT INTO "steps" VALUES(2,'da60fd233215176a96b06170cf44e5c7',1,'sent','2026-11-28T20:15:08Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(3,'da60fd233215176a96b06170cf44e5c7',1,'uploaded','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(4,'da60fd233215176a96b06170cf44e5c7',1,'submitted','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(5,'da60fd233215176a96b06170cf44e5c7',1,'finished','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(6,'da60fd233215176a96b06170cf44e5c7',1,'delivered','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(7,'05c8ed9394b851f79ef90232d85b6509',1,'history made','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(8,'05c8ed9394b851f79ef90232d85b6509',1,'sent','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(9,'05c8ed9394b851f79ef90232d85b6509',1,'uploaded','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(10,'05c8ed9394b851f79ef90232d85b6509',1,'submitted','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(11,'5dcb6eb2d4b1956f35fbbe3dfa41a8e9',1,'history made','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(12,'5dcb6eb2d4b1956f35fbbe3dfa41a8e9',1,'sent','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(13,'5dcb6eb2d4b1956f35fbbe3dfa41a8e9',1,'uploaded','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','ok');
INSERT INTO "steps" VALUES(14,'5dcb6eb2d4b1956f35fbbe3dfa41a8e9',1,'submitted','2026-11-28T20:15:09Z',NULL,NULL);
CREATE TABLE units (key TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
        place TEXT, history TEXT, invocation TEXT, failed_step TEXT, message TEXT, seen TEXT, begun TEXT, ended TEXT,
        notes TEXT NOT NULL DEFAULT '{}');
INSERT INTO "units" VALUES('da60fd233215176a96b06170cf44e5c7','a','ok',1,'FOLDER/sheet.tsv, line 2','0000000000000001','0000000000000007',NULL,NULL,'2026-11-28T20:15:08Z','2026-11-28T20:15:08Z','2026-11-28T20:15:09Z','{"workflow": "00000000000000ff", "purpose": "e76c4d380c8c4221a601580970cb1dd1", "files": {"FOLDER/a.tsv": [6, 1795937398639798071, "3705be1b73c3238876d6d7592ba61e5b2a265997ae710ef6dd9e7ec36355ebcb"], "FOLDER/all.tsv": [8, 1795937398652940793, "99f146b3a5517c152a21b8486eba91af259c68c154f2759ca63a87e93007c356"]}, "title": "a - Copy [da60fd2332]", "marked": true, "folder": "a", "asked_history": 1000.0, "histories_before": [], "own": true, "sent": 1000.25, "inputs": {"0": {"src": "hda", "id": "0000000000000006"}, "1": {"src": "hda", "id": "0000000000000004"}}, "known": [], "asked": 1000.8125, "results": "FOLDER/out/a"}');
INSERT INTO "units" VALUES('05c8ed9394b851f79ef90232d85b6509','b','failed',1,'FOLDER/sheet.tsv, line 3','0000000000000009','000000000000000c','3 (copy)','invocation 000000000000000c failed: 1 error; step 3 (copy), tool cat1 1.0.0, is error, job 000000000000000d, exit code 1: boom; see SERVER/jobs/000000000000000d/view','2026-11-28T20:15:08Z','2026-11-28T20:15:09Z','2026-11-28T20:15:09Z','{"workflow": "00000000000000ff", "purpose": "929687a79560d509cbaee837d3885e1d", "files": {"FOLDER/b.tsv": [6, 1795937398655317662, "9a9847eef4efb3bb978d04212252a5cc18bbb4cddeb23e6e578a74d41ccc17a8"], "FOLDER/all.tsv": [8, 1795937398652940793, "99f146b3a5517c152a21b8486eba91af259c68c154f2759ca63a87e93007c356"]}, "title": "b - Copy [05c8ed9394]", "marked": true, "folder": "b", "asked_history": 1001.375, "histories_before": [], "own": true, "sent": 1001.375, "inputs": {"0": {"src": "hda", "id": "000000000000000b"}, "1": {"src": "hda", "id": "0000000000000004"}}, "known": [], "asked": 1001.9375}');
INSERT INTO "units" VALUES('5dcb6eb2d4b1956f35fbbe3dfa41a8e9','c','running',1,'FOLDER/sheet.tsv, line 4','000000000000000e',NULL,NULL,NULL,'2026-11-28T20:15:08Z','2026-11-28T20:15:09Z',NULL,'{"workflow": "00000000000000ff", "purpose": "060ef2035a359bc038af257d287fcabb", "files": {"FOLDER/c.tsv": [6, 1795937398659247803, "6e5109fb45bffd6aa9aca82c70fada2951755113944ee54dc66db70ea8dbeb4c"], "FOLDER/all.tsv": [8, 1795937398652940793, "99f146b3a5517c152a21b8486eba91af259c68c154f2759ca63a87e93007c356"]}, "title": "c - Copy [5dcb6eb2d4]", "marked": true, "folder": "c", "asked_history": 1002.5, "histories_before": [], "own": true, "sent": 1002.5, "inputs": {"0": {"src": "hda", "id": "0000000000000010"}, "1": {"src": "hda", "id": "0000000000000004"}}, "known": [], "asked": 1003.0625, "tries": 1}');
INSERT INTO "units" VALUES('399e0824c56c7d234a179fae3252ffa0','d','waiting',0,'FOLDER/sheet.tsv, line 5',NULL,NULL,NULL,NULL,'2026-11-28T20:15:08Z',NULL,NULL,'{"workflow": "00000000000000ff", "purpose": "49cfd9cb49002ff1417c5494eb228c87", "files": {"FOLDER/d.tsv": [6, 1795937398661434822, ""], "FOLDER/all.tsv": [8, 1795937398652940793, ""]}, "title": "d - Copy [399e0824c5]", "marked": true, "folder": "d"}');
CREATE INDEX units_by_state ON units (state);
CREATE INDEX units_by_name ON units (name);
CREATE INDEX steps_by_unit ON steps (unit);
PRAGMA application_id = 1735945316;
PRAGMA user_version = 1;
