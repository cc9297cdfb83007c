using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Tests.Keys;

/// <summary>One case for each kind of mistake. The mark § stands before the place that must be named.</summary>
public class CatalogMistakeTests
{
    public static TheoryData<string, string, string> BrokenJson =>
        new()
        {
            { """{ "system": "s" §"families": {} }""", "A comma is missing.", "Write \",\" after the value before this." },
            { """{ "system": "s", §'families': {} }""", "'families' stands in single quotes.", "Write \"families\"." },
            { """{ "system": "s", §families: {} }""", "The name families has no quotes.", "Write \"families\"." },
            { """{ "system": §s, "families": {} }""", "s has no quotes.", "Write \"s\"." },
            { """{ "system" §= "s", "families": {} }""", "\"=\" between a name and its value.", "Write \":\"." },
            { """{ §"system" "s", "families": {} }""", "No colon follows the name \"system\".", "Write \":\" and a value after it." },
            { """{ "system": "s",§, "families": {} }""", "A comma without a field before it.", "Remove it." },
            { """{ "system": "s", "families": {} } §x""", "Something stands after the end of the catalog.", "Remove it." },
            { """{ "system": "s", "families": §{ """, "This \"{\" is never closed.", "Write \"}\" where it ends." },
            {
                """{ "system": "s", "families": { §] }""",
                "\"]\" closes what \"{\" opened on line 1.",
                "Write \"}\" here, or close the inner one before."
            },
            { "{ \"system\": §\"s,\n \"families\": {} }", "This text is never closed.", "Write \" at its end." },
            { """{ "system": "s", §/* "families": {} }""", "This comment is never closed.", "Write */ at its end." },
            { """{ "system": "s§\q", "families": {} }""", "\"\\q\" is no escape.", "Write \\\\ for a backslash." },
            {
                """{ "system": "s§\u12", "families": {} }""",
                "\\u without four hexadecimal digits.",
                "Write \\u and four digits, or \\\\ for a backslash."
            },
            { "§", "The file is empty.", "Write { \"system\": \"…\", \"families\": { … } }." },
        };

    [Theory]
    [MemberData(nameof(BrokenJson))]
    public void Broken_JSON_is_named_at_its_place(string marked, string what, string write)
    {
        var (text, line, column) = Unmark(marked);

        var mistake = CatalogFile.Read(text, wantsTypes: true).Mistakes.First(found => found.Code == MistakeCode.BrokenJson);

        Assert.Equal((line, column), (mistake.Line, mistake.Column));
        Assert.Equal(what, mistake.What);
        Assert.Equal(write, mistake.Write);
    }

    public static TheoryData<string, string, string, string> OfTheWhole =>
        new()
        {
            // fields
            {
                "ONGGI002",
                """{ "system": "s", §"familys": {}, "families": {} }""",
                "the catalog has no field \"familys\".",
                "Did you mean \"families\"?"
            },
            { "ONGGI003", """§{ "families": {} }""", "the catalog lacks the field \"system\".", "Write \"system\": \"phonebill\"." },
            { "ONGGI003", """§{ "system": "s" }""", "the catalog lacks the field \"families\".", "Write \"families\": { … }." },
            {
                "ONGGI004",
                """§["system"]""",
                "the catalog is a list and must be an object.",
                "Write { \"system\": \"…\", \"families\": { … } }."
            },
            { "ONGGI004", """{ "system": §7, "families": {} }""", "the system is a number and must be a text.", "Write \"phonebill\"." },
            { "ONGGI004", """{ "system": "s", "families": §[] }""", "\"families\" is a list and must be an object.", "Write { … }." },
            {
                "ONGGI005",
                """{ "system": "s", "families": {}, §"system": "t" }""",
                "the catalog: \"system\" stands twice.",
                "Remove or rename one."
            },
            // names
            {
                "ONGGI006",
                """{ "system": §"Phone Bill", "families": {} }""",
                "the system: \"Phone Bill\" cannot be a name here.",
                "Write \"phone-bill\"."
            },
            {
                "ONGGI006",
                """{ "system": "s", "environment": §"DEV", "families": {} }""",
                "the environment: \"DEV\" cannot be a name here.",
                "Write"
            },
            {
                "ONGGI006",
                """{ "system": "s", "services": { §"BillInquiry": {} }, "families": {} }""",
                "service \"BillInquiry\": \"BillInquiry\" cannot be a name here.",
                "Write \"bill-inquiry\"."
            },
            {
                "ONGGI006",
                """{ "system": "s", "families": { §"LineStatus": { "key": "a:{b}", "value": "string" } } }""",
                "family \"LineStatus\": \"LineStatus\" cannot be a name here.",
                "Write \"line_status\"."
            },
            {
                "ONGGI006",
                """{ "system": "s", "families": {}, "events": { §"UserUpdated": { "payload": "string" } } }""",
                "event \"UserUpdated\": \"UserUpdated\" cannot name an event.",
                "Write \"user.updated\"."
            },
            // small languages
            {
                "ONGGI007",
                """{ "system": "s", "defaults": { "ttl": §"4 hours" }, "families": {} }""",
                "the defaults: \"ttl\": \"4 hours\" is no duration.",
                "Write \"4h\"."
            },
            {
                "ONGGI007",
                """{ "system": "s", "defaults": { "ttl": §"1h30m" }, "families": {} }""",
                "the defaults: \"ttl\": \"1h30m\" is no duration.",
                "Write \"90m\"."
            },
            {
                "ONGGI007",
                """{ "system": "s", "defaults": { "grace": §"0.5h" }, "families": {} }""",
                "the defaults: \"grace\": \"0.5h\" is no duration.",
                "Write \"30m\"."
            },
            {
                "ONGGI004",
                """{ "system": "s", "defaults": { "ttl": §1800 }, "families": {} }""",
                "the defaults: \"ttl\" is a number and must be a text.",
                "Write \"30m\"."
            },
            {
                "ONGGI008",
                """{ "system": "s", "memory": { "limit": §"512MB" }, "families": {} }""",
                "\"memory\": \"limit\": \"512MB\" is no size.",
                "Write \"512mb\"."
            },
            {
                "ONGGI008",
                """{ "system": "s", "memory": { "limit": §"4Gi" }, "families": {} }""",
                "\"memory\": \"limit\": \"4Gi\" is no size.",
                "Write \"4gb\"."
            },
            {
                "ONGGI009",
                """{ "system": "s", "defaults": { "jitter": §"0.1" }, "families": {} }""",
                "the defaults: \"jitter\": \"0.1\" is no percentage.",
                "Write \"10%\"."
            },
            {
                "ONGGI009",
                """{ "system": "s", "defaults": { "jitter": §"110%" }, "families": {} }""",
                "the defaults: \"jitter\": \"110%\" is no percentage.",
                "Write \"100%\"."
            },
            {
                "ONGGI010",
                """{ "system": "s", "personalIdentifiers": §"HMAC", "families": {} }""",
                "\"personalIdentifiers\": \"HMAC\" is not one of its words.",
                "Did you mean \"hmac\"?"
            },
            // limits wherever they are written
            {
                "ONGGI011",
                """{ "system": "s", "defaults": { "ttl": §"30d" }, "families": {} }""",
                "the defaults: \"ttl\" is 30d, outside 1s to 7d for cached data.",
                "Write \"7d\"."
            },
            {
                "ONGGI011",
                """{ "system": "s", "defaults": { "eventTtl": §"10m" }, "families": {} }""",
                "the defaults: \"eventTtl\" is 10m, outside 1m to 5m for event data.",
                "Write \"5m\"."
            },
            {
                "ONGGI011",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string", "ttl": §"10s" } } }""",
                "event \"a.b\": \"ttl\" is 10s, outside 1m to 5m for event data.",
                "Write \"1m\"."
            },
            {
                "ONGGI012",
                """{ "system": "s", "defaults": { "jitter": §"60%" }, "families": {} }""",
                "the defaults: a jitter of 60% is more than 50%.",
                "Write \"10%\"."
            },
            {
                "ONGGI012",
                """{ "system": "s", "services": { "a": { "grace": §"2d" } }, "families": {} }""",
                "service \"a\": a grace of 2d is longer than 24h.",
                "Write \"24h\" or less."
            },
            {
                "ONGGI012",
                """{ "system": "s", "defaults": { "negativeTtl": §"1h" }, "families": {} }""",
                "the defaults: a \"not found\" for 1h is outside 1ms to 10m.",
                "Write \"30s\"."
            },
            // prefix, environments
            {
                "ONGGI025",
                """{ "system": "s", "prefix": §"{environment}", "families": {} }""",
                "the catalog: \"{environment}\" cannot be a prefix.",
                "Write \"{environment}:\"."
            },
            {
                "ONGGI025",
                """{ "system": "s", "prefix": §"my app:*", "families": {} }""",
                "the catalog: \"my app:*\" cannot be a prefix.",
                "Write \"my:app:\"."
            },
            {
                "ONGGI020",
                """{ "system": "s", "families": { "bill": { "key": "bill:{x}", "value": "string" } }, "environments": { "production": { "families": { §"bills": { "ttl": "1h" } } } } }""",
                "environment \"production\": there is no family \"bills\" in this catalog.",
                "Did you mean \"bill\"?"
            },
            {
                "ONGGI018",
                """{ "system": "s", "services": { "auth": {} }, "families": {}, "environments": { "production": { "services": { §"aut": { "ttl": "1h" } } } } }""",
                "environment \"production\": \"aut\" is no service of this catalog.",
                "Did you mean \"auth\"?"
            },
            {
                "ONGGI002",
                """{ "system": "s", "families": { "bill": { "key": "bill:{x}", "value": "string" } }, "environments": { "production": { "families": { "bill": { §"key": "b:{x}" } } } } }""",
                "environment \"production\": family \"bill\": an environment cannot change \"key\".",
                "Write it in the family itself."
            },
            {
                "ONGGI013",
                """{ "system": "s", "families": { "bill": { "key": "bill:{x}", "value": "string" } }, "environments": { "production": { "families": { "bill": { §"idle": "30m" } } } } }""",
                "environment \"production\": family \"bill\": a cache has no \"idle\".",
                "Remove it."
            },
            {
                "ONGGI011",
                """{ "system": "s", "families": { "bill": { "key": "bill:{x}", "value": "string" } }, "environments": { "production": { "families": { "bill": { "ttl": §"8d" } } } } }""",
                "family \"bill\": \"ttl\" is 8d, outside 1s to 7d for cached data.",
                "Write \"7d\"."
            },
            // events
            {
                "ONGGI003",
                """{ "system": "s", "families": {}, "events": { §"a.b": {} } }""",
                "event \"a.b\" lacks the field \"payload\".",
                "Write \"payload\": \"MyTeam.Contracts.SomethingChanged\", or \"System.Text.Json.JsonElement\" where no type of yours describes it."
            },
            {
                "ONGGI005",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string" }, "a.c": { "payload": "string", "channel": §"events:global:a.b" } } }""",
                "event \"a.c\" and event \"a.b\" share the channel \"events:global:a.b\".",
                "Leave the field \"channel\" away."
            },
            {
                "ONGGI013",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string", "delivery": "atLeastOnce", "channel": §"events:own:a" } } }""",
                "event \"a.b\": an event that is delivered at least once has no \"channel\".",
                "Remove it."
            },
            {
                "ONGGI013",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string", "ttl": §"2m", "delivery": "atLeastOnce" } } }""",
                "event \"a.b\": an event that is delivered at least once has no \"ttl\".",
                "Remove it."
            },
            {
                "ONGGI016",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string", "channel": §"news" } } }""",
                "event \"a.b\": \"news\" cannot be a channel.",
                "Write \"events:global:a.b\", or leave the field away."
            },
            {
                "ONGGI016",
                """{ "system": "s", "families": {}, "events": { §"cache.warmed": { "payload": "string" } } }""",
                "event \"cache.warmed\": Onggi publishes this event itself.",
                "Remove it, or give yours another name."
            },
            {
                "ONGGI020",
                """{ "system": "s", "families": { "bill": { "key": "bill:{x}", "value": "string" } }, "events": { "a.b": { "payload": "string", "keys": { §"bil": { "x": "data.x" } } } } }""",
                "event \"a.b\": there is no family \"bil\" in this catalog.",
                "Did you mean \"bill\"?"
            },
            {
                "ONGGI024",
                """{ "system": "s", "families": {}, "events": { "a.b": { "payload": "string" }, §"a_b.c": { "payload": "string" }, "a.b_c": { "payload": "string" } } }"""
                    .Replace("§\"a_b.c\"", "\"a_b.c\"", StringComparison.Ordinal)
                    .Replace("\"a.b_c\"", "§\"a.b_c\"", StringComparison.Ordinal),
                "The events \"a_b.c\" (line 1) and \"a.b_c\" would both become the C# member \"EventTypes.ABC\".",
                "Rename one."
            },
        };

    [Theory]
    [MemberData(nameof(OfTheWhole))]
    public void A_mistake_of_the_whole_is_named_at_its_place(string id, string marked, string what, string write) =>
        AssertOnly(id, marked, what, write);

    public static TheoryData<string, string, string, string> OfAFamily =>
        new()
        {
            {
                "ONGGI002",
                """ "customer": { "key": "customer:{id}", "value": "string", §"tll": "4h" }""",
                "family \"customer\" has no field \"tll\".",
                "Did you mean \"ttl\"?"
            },
            {
                "ONGGI003",
                """§"customer": { "value": "string" }""",
                "family \"customer\" lacks the field \"key\".",
                "Write \"key\": \"customer:{id}\"."
            },
            {
                "ONGGI003",
                """§"customer": { "key": "customer:{id}" }""",
                "family \"customer\" lacks the field \"value\".",
                "Write \"value\": \"MyTeam.Contracts.Customer\", or \"System.Text.Json.JsonElement\" where no type of yours describes it."
            },
            {
                "ONGGI004",
                """ "customer": { "key": "customer:{id}", "value": "string", "readers": §"auth" }""",
                "family \"customer\": \"readers\" is a text and must be a list of texts.",
                "Write [\"auth\"]."
            },
            {
                "ONGGI004",
                """ "customer": { "key": "customer:{id}", "value": "string", "share": §30 }""",
                "family \"customer\": \"share\" is a number and must be a text.",
                "Write \"30%\"."
            },
            {
                "ONGGI004",
                """ "customer": §null""",
                "family \"customer\" is null and must be an object.",
                "Write { \"key\": \"customer:{lineNumber}\", \"value\": \"…\" }."
            },
            {
                "ONGGI005",
                """ "customer": { "key": "customer:{id}", "value": "string", "readers": ["auth", §"auth"] }""",
                "family \"customer\": \"readers\": \"auth\" stands twice.",
                "Remove one."
            },
            {
                "ONGGI010",
                """ "customer": { "key": "customer:{id}", "value": "string", "kind": §"cahce" }""",
                "family \"customer\": \"kind\": \"cahce\" is not one of its words.",
                "Did you mean \"cache\"?"
            },
            // times by kind
            {
                "ONGGI011",
                """ "customer": { "key": "customer:{id}", "value": "string", "ttl": §"500ms" }""",
                "family \"customer\": \"ttl\" is 500ms, outside 1s to 7d for cached data.",
                "Write \"1s\"."
            },
            {
                "ONGGI011",
                """ "user": { "key": "cache:user:{id}", "value": "string", "ttl": §"4h" }""",
                "family \"user\": \"ttl\" is 4h, outside 10m to 30m for cached data of users.",
                "Write \"30m\"."
            },
            {
                "ONGGI011",
                """ "profile": { "key": "profile:{id}", "value": "string", "data": "user", "ttl": §"5m" }""",
                "family \"profile\": \"ttl\" is 5m, outside 10m to 30m for cached data of users.",
                "Write \"10m\"."
            },
            {
                "ONGGI011",
                """§"user": { "key": "cache:user:{id}", "value": "string", "owner": "users" }""",
                "family \"user\" takes its ttl 2h from line 1, outside 10m to 30m for cached data of users.",
                "Write \"ttl\": \"30m\" in the family."
            },
            {
                "ONGGI011",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": §"10m", "absolute": "24h" }""",
                "family \"session\": \"idle\" is 10m, outside 30m to 1h for the idle time of sessions.",
                "Write \"30m\"."
            },
            {
                "ONGGI011",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": §"7d" }""",
                "family \"session\": \"absolute\" is 7d, outside 30m to 24h for the whole life of sessions.",
                "Write \"24h\"."
            },
            {
                "ONGGI011",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": §"60m", "absolute": "30m" }""",
                "family \"session\": idle (1h) is longer than absolute (30m).",
                "Write \"30m\" or less."
            },
            {
                "ONGGI008",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": "24h", "limit": §"five" }""",
                "family \"session\": \"limit\": \"five\" is no number of sessions.",
                "Write \"5\"."
            },
            {
                "ONGGI008",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": "24h", "limit": §"1001" }""",
                "family \"session\": \"limit\": \"1001\" is no number of sessions.",
                "Write \"5\"."
            },
            {
                "ONGGI010",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": "24h", "policy": §"oldst" }""",
                "family \"session\": \"policy\": \"oldst\" is not one of its words.",
                "Did you mean \"oldest\"?"
            },
            {
                "ONGGI011",
                """ "blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth", "ttl": §"365d" }""",
                "family \"blacklist\": \"ttl\" is 365d, outside 1m to 90d for the longest life of a token.",
                "Write \"90d\"."
            },
            {
                "ONGGI011",
                """ "invoice_run": { "kind": "lock", "key": "locks:invoice_run:{id}", "ttl": §"1h" }""",
                "family \"invoice_run\": \"ttl\" is 1h, outside 100ms to 10m for leases.",
                "Write \"10m\"."
            },
            {
                "ONGGI011",
                """ "login": { "kind": "limit", "key": "rate_limit:login:{id}", "ttl": §"100ms" }""",
                "family \"login\": \"ttl\" is 100ms, outside 1s to 31d for the window of limits.",
                "Write \"1s\"."
            },
            {
                "ONGGI011",
                """ "orders": { "kind": "stream", "key": "events:stream:{topic}", "ttl": §"5m" }""",
                "family \"orders\": \"ttl\" is 5m, outside 1h to 30d for the retention of streams.",
                "Write \"1h\"."
            },
            {
                "ONGGI003",
                """§"session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m" }""",
                "family \"session\" lacks the field \"absolute\".",
                "Write \"absolute\": \"24h\"."
            },
            {
                "ONGGI003",
                """§"blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth" }""",
                "family \"blacklist\" lacks the field \"ttl\".",
                "Write \"ttl\": \"8h\"."
            },
            {
                "ONGGI003",
                """§"invoice_run": { "kind": "lock", "key": "locks:invoice_run:{id}" }""",
                "family \"invoice_run\" lacks the field \"ttl\".",
                "Write \"ttl\": \"30s\"."
            },
            {
                "ONGGI003",
                """§"session": { "kind": "session", "key": "auth:session:{sid}", "idle": "30m", "absolute": "24h" }""",
                "family \"session\" lacks the field \"owner\".",
                "Write \"owner\": \"auth\"."
            },
            {
                "ONGGI012",
                """ "customer": { "key": "customer:{id}", "value": "string", "ttl": "5m", "grace": §"10m" }""",
                "family \"customer\": the grace of 10m is longer than the ttl of 5m.",
                "Write \"5m\" or less."
            },
            {
                "ONGGI012",
                """ "customer": { "key": "customer:{id}", "value": "string", "ttl": "10s", "negativeTtl": §"1m" }""",
                "family \"customer\": a \"not found\" lives 1m, longer than a value with 10s.",
                "Write \"10s\"."
            },
            {
                "ONGGI013",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": "24h", §"ttl": "24h" }""",
                "family \"session\": a session has no \"ttl\".",
                "Write \"idle\" and \"absolute\"."
            },
            {
                "ONGGI013",
                """ "invoice_run": { "kind": "lock", "key": "locks:invoice_run:{id}", "ttl": "30s", §"grace": "1s" }""",
                "family \"invoice_run\": a lock has no \"grace\".",
                "Remove it."
            },
            // patterns
            {
                "ONGGI014",
                """ "customer": { "key": §"", "value": "string" }""",
                "family \"customer\": the key is empty.",
                "Write a pattern such as \"customer:{lineNumber}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "§customers", "value": "string" }""",
                "family \"customer\": the key \"customers\" has no identifier.",
                "Write \"customers:{id}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "§c:{a}:{b}:{c}:{d}", "value": "string" }""",
                "family \"customer\": the key has 4 identifiers.",
                "Join some of them in one identifier, or split the family."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "c:{a}:§{a}", "value": "string" }""",
                "family \"customer\": the identifier \"a\" stands twice.",
                "Give the second one a name of its own."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "customer:§{lineNumber", "value": "string" }""",
                "family \"customer\": the braces of \"{lineNumber\" do not fit together.",
                "Write \"{lineNumber}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "customer:§{{line}}", "value": "string" }""",
                "family \"customer\": the braces of \"{{line}}\" do not fit together.",
                "Write \"{line}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "customer:§user-{id}", "value": "string" }""",
                "family \"customer\": \"user-{id}\" mixes a word and an identifier.",
                "Write \"user:{id}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "§{id}:customer", "value": "string" }""",
                "family \"customer\": the key begins with an identifier.",
                "Write \"customer:{id}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "customer:§*", "value": "string" }""",
                "family \"customer\": \"*\" in \"*\".",
                "Write an identifier in braces: \"{id}\"."
            },
            {
                "ONGGI014",
                """ "customer": { "key": "customer§::{id}", "value": "string" }""",
                "family \"customer\": a colon with nothing on one side.",
                "Remove it."
            },
            {
                "ONGGI014",
                """ "customer": { "key": §"dev:customer:{id}", "value": "string" }""",
                "family \"customer\": the key begins with the environment \"dev\".",
                "Write \"customer:{id}\"."
            },
            {
                "ONGGI015",
                """ "customer": { "key": "customer:{§line-number}", "value": "string" }""",
                "family \"customer\": \"line-number\" cannot name an identifier.",
                "Write \"{lineNumber}\"."
            },
            {
                "ONGGI015",
                """ "customer": { "key": "customer:{§0}", "value": "string" }""",
                "family \"customer\": \"0\" cannot name an identifier.",
                "Write \"{id}\"."
            },
            {
                "ONGGI015",
                """ "customer": { "key": "customer:{lineNumber}", "value": "string", "personal": [§"line"] }""",
                "family \"customer\": \"line\" is no identifier of its key.",
                "Choose one of: lineNumber."
            },
            // namespaces
            {
                "ONGGI016",
                """ "customer": { "key": §"onggi:{id}", "value": "string" }""",
                "family \"customer\": the key \"onggi:{id}\" stands in a reserved namespace.",
                "Write \"customer:{id}\"."
            },
            {
                "ONGGI016",
                """ "news": { "key": §"events:news:{id}", "value": "string" }""",
                "family \"news\": the key \"events:news:{id}\" stands in a reserved namespace.",
                "Write \"news:{id}\"."
            },
            {
                "ONGGI016",
                """ "run": { "key": §"locks:run:{id}", "value": "string" }""",
                "family \"run\": the key \"locks:run:{id}\" stands in a reserved namespace.",
                "Write \"run:{id}\", or \"kind\": \"lock\"."
            },
            {
                "ONGGI016",
                """ "login": { "key": §"rate_limit:login:{id}", "value": "string" }""",
                "family \"login\": the key \"rate_limit:login:{id}\" stands in a reserved namespace.",
                "Write \"login:{id}\", or \"kind\": \"limit\"."
            },
            {
                "ONGGI016",
                """ "visits": { "key": §"auth:session:{id}", "value": "string" }""",
                "family \"visits\": the key \"auth:session:{id}\" stands in a reserved namespace.",
                "Write \"visits:{id}\"."
            },
            {
                "ONGGI016",
                """ "run": { "kind": "lock", "key": §"run:{id}", "ttl": "30s" }""",
                "family \"run\": the key \"run:{id}\" is not where a lock stands.",
                "Write \"locks:run:{id}\"."
            },
            {
                "ONGGI016",
                """ "session": { "kind": "session", "key": §"session:{userId}:{sessionId}", "owner": "auth", "idle": "30m", "absolute": "24h" }""",
                "family \"session\": the key \"session:{userId}:{sessionId}\" is not where a session stands.",
                "Write \"auth:session:{sessionId}\"."
            },
            {
                "ONGGI016",
                """§"onggi": { "key": "a:{id}", "value": "string" }""",
                "family \"onggi\": the name is taken.",
                "Write \"shop_onggi\"."
            },
            // others of the catalog
            {
                "ONGGI017",
                """ "a": { "key": "bill:{line}:latest", "value": "string" }, "b": { "key": §"bill:all:{month}", "value": "string" }""",
                "family \"b\" can make the same key as family \"a\" on line 1: \"dev:bill:all:latest\".",
                "Begin it with a word of its own: \"b:all:{month}\"."
            },
            {
                "ONGGI017",
                """ "session": { "kind": "session", "key": "auth:session:{sid}", "owner": "auth", "idle": "30m", "absolute": "24h" }, "session2": { "kind": "session", "key": §"auth:session:{id}", "owner": "auth", "idle": "30m", "absolute": "24h" }""",
                "family \"session2\" can make the same key as family \"session\" on line 1: \"dev:auth:session:1\".",
                "Begin it with a word of its own: \"session2:session:{id}\"."
            },
            {
                "ONGGI018",
                """ "customer": { "key": "customer:{id}", "value": "string", "owner": §"user" }""",
                "family \"customer\": the owner \"user\" is no service of this catalog.",
                "Did you mean \"users\"?"
            },
            {
                "ONGGI018",
                """ "customer": { "key": "customer:{id}", "value": "string", "readers": [§"billing"] }""",
                "family \"customer\": the reader \"billing\" is no service of this catalog.",
                "Choose one of: auth, users."
            },
            {
                "ONGGI019",
                """ "customer": { "key": "customer:{id}", "value": "string", "invalidatedBy": [§"user.update"] }""",
                "family \"customer\": there is no event \"user.update\" in this catalog.",
                "Did you mean \"user.updated\"?"
            },
            {
                "ONGGI019",
                """ "customer": { "key": "customer:{id}", "value": "string", "invalidatedBy": [§"cache.warmed"] }""",
                "family \"customer\": \"cache.warmed\" is an event of Onggi itself.",
                "Declare an event of your own."
            },
            {
                "ONGGI022",
                """ "customer": { "key": "customer:{id}", "value": "string", "invalidatedBy": [§"user.updated"] }""",
                "family \"customer\" is invalidated by \"user.updated\", which does not say which of its keys.",
                "Write there \"keys\": { \"customer\": { \"id\": \"data.id\" } }."
            },
            {
                "ONGGI023",
                """ "a": { "key": "a:{id}", "value": "string", "share": "70%" }, "b": { "key": "b:{id}", "value": "string", "share": §"40%" }""",
                "The shares add up to 110%: a 70%, b 40%.",
                "Take 10% away."
            },
            {
                "ONGGI023",
                """ "a": { "key": "a:{id}", "value": "string", "share": §"100%" }, "b": { "key": "b:{id}", "value": "string" }""",
                "The shares take the whole memory: a 100%.",
                "Leave them some, for example 10%."
            },
            {
                "ONGGI024",
                """ "line-status": { "key": "a:{id}", "value": "string" }, §"line_status": { "key": "b:{id}", "value": "string" }""",
                "The families \"line-status\" (line 1) and \"line_status\" would both become the C# member \"Keys.LineStatus\".",
                "Rename one."
            },
            {
                "ONGGI024",
                """§"to_string": { "key": "a:{id}", "value": "string" }""",
                "\"to_string\" would become the C# member \"Keys.ToString\", which C# keeps for itself.",
                "Write \"to_string_entry\"."
            },
            {
                "ONGGI024",
                """§"keys": { "key": "a:{id}", "value": "string" }""",
                "\"keys\" would become the C# member \"Keys.Keys\", which C# keeps for itself.",
                "Write \"keys_entry\"."
            },
            {
                "ONGGI027",
                """ "customer": { "key": "customer:{id}", "value": §"List<" }""",
                "family \"customer\": \"value\": \"List<\" is no C# type.",
                "Write \"MyTeam.Contracts.Customer\" or \"System.Collections.Generic.List<MyTeam.Contracts.Customer>\"."
            },
        };

    [Theory]
    [MemberData(nameof(OfAFamily))]
    public void A_mistake_of_a_family_is_named_at_its_place(string id, string marked, string what, string write) =>
        AssertOnly(
            id,
            """{ "system": "shop", "services": { "auth": {}, "users": { "ttl": "2h" } }, "events": { "user.updated": { "payload": "string" } }, "families": { """
                + marked
                + " } }",
            what,
            write
        );

    public static TheoryData<string, string, string, string> OfAMapping =>
        new()
        {
            {
                "ONGGI020",
                """§"bil": { "line": "data.a", "month": "data.b" }""",
                "event \"a.b\": there is no family \"bil\" in this catalog.",
                "Did you mean \"bill\"?"
            },
            {
                "ONGGI021",
                """ "bill": §{ "line": "data.line" }""",
                "event \"a.b\": the keys of \"bill\" lack the identifier \"month\".",
                "Write \"month\": \"data.month\" as well."
            },
            {
                "ONGGI021",
                """ "bill": { "line": "data.line", "month": "data.month", §"year": "data.year" }""",
                "event \"a.b\": family \"bill\" has no identifier \"year\".",
                "Choose one of: line, month."
            },
            {
                "ONGGI021",
                """ "bill": { "line": §"{metadata.line_id}", "month": "data.month" }""",
                "event \"a.b\": the keys of \"bill\": \"{metadata.line_id}\" is no source of an identifier.",
                "Write \"metadata.line_id\"."
            },
            {
                "ONGGI021",
                """ "bill": { "line": §"payload.line", "month": "data.month" }""",
                "event \"a.b\": the keys of \"bill\": \"payload.line\" is no source of an identifier.",
                "Write \"data.line\"."
            },
            {
                "ONGGI021",
                """ "bill": { "line": §"data.a..b", "month": "data.month" }""",
                "event \"a.b\": the keys of \"bill\": \"data.a..b\" is no source of an identifier.",
                "Write \"data.line\"."
            },
            {
                "ONGGI004",
                """ "bill": { "line": §7, "month": "data.month" }""",
                "event \"a.b\": the keys of \"bill\": \"line\" is a number and must be a text.",
                "Write \"data.line\"."
            },
            {
                "ONGGI022",
                """ "bill": { "line": "data.line", "month": "data.month" }, §"other": { "id": "data.id" }""",
                "event \"a.b\" names keys of family \"other\", which does not say so.",
                "Write there \"invalidatedBy\": [\"a.b\"]."
            },
            {
                "ONGGI022",
                """ "bill": { "line": "data.line", "month": "data.month" }, §"run": { "id": "data.id" }""",
                "event \"a.b\": family \"run\" is no cache but a lock.",
                "Remove it."
            },
        };

    [Theory]
    [MemberData(nameof(OfAMapping))]
    public void A_mistake_of_a_mapping_is_named_at_its_place(string id, string marked, string what, string write)
    {
        var (text, line, column) = Unmark(
            """{ "system": "s", "families": { "bill": { "key": "bill:{line}:{month}", "value": "string", "invalidatedBy": ["a.b"] }, "other": { "key": "other:{id}", "value": "string" }, "run": { "kind": "lock", "key": "locks:run:{id}", "ttl": "30s" } }, "events": { "a.b": { "payload": "string", "keys": { """
                + marked
                + " } } } }"
        );

        var mistake = Assert.Single(
            CatalogFile.Read(text, wantsTypes: true).Mistakes,
            found => !(marked.Contains("\"bil\"", StringComparison.Ordinal) && found.Code == MistakeCode.EventDisagreement)
        );

        Assert.Equal((id, line, column), (mistake.Id, mistake.Line, mistake.Column));
        Assert.Equal(what, mistake.What);
        Assert.Equal(write, mistake.Write);
    }

    [Fact]
    public void Families_that_meet_only_across_environments_are_found() =>
        AssertOnly(
            "ONGGI017",
            """
            {
              "system": "s",
              "families": { "a": { "key": "dev1:a:{id}", "value": "string" }, "b": { "key": §"a:{id}", "value": "string" } },
              "environments": { "test": { "prefix": "" }, "dev1": { "prefix": "dev1:" } }
            }
            """.Replace("\"key\": \"dev1:a:{id}\"", "\"key\": \"qa:a:{id}\"", StringComparison.Ordinal).Replace(
                "\"dev1\": { \"prefix\": \"dev1:\" }",
                "\"dev1\": { \"prefix\": \"qa:\" }",
                StringComparison.Ordinal
            ),
            "family \"b\" can make the same key as family \"a\" on line 3: \"qa:a:1\" (environments test and dev1).",
            "Give both environments a prefix of as many words, such as \"{environment}:\"."
        );

    [Fact]
    public void Shares_that_only_an_environment_exceeds_name_it() =>
        AssertOnly(
            "ONGGI023",
            """
            {
              "system": "s",
              "families": {
                "a": { "key": "a:{id}", "value": "string", "share": "50%" },
                "b": { "key": "b:{id}", "value": "string", "share": "40%" }
              },
              "environments": { "production": { "families": { "b": { "share": §"60%" } } } }
            }
            """,
            "environment \"production\": the shares add up to 110%: a 50%, b 60%.",
            "Take 10% away."
        );

    [Fact]
    public void Every_mistake_is_reported_in_the_order_of_the_file()
    {
        const string text = """
            {
              "system": "Shop",
              "defaults": { "ttl": "half an hour", "jitter": 0.1 },
              "services": { "auth": {} },
              "events": { "user.updated": { "payload": "Shop.User", "keys": { "usr": { "id": "data.id" } } } },
              "families": {
                "user": { "key": "cache:user:{id}", "value": "Shop.User", "ttl": "1h", "owner": "users", "colour": "red" },
                "list": { "key": "cache:user:{name}", "value": "Shop.User[", "ttl": "20m", "invalidatedBy": ["user.changed"] },
                "session": { "kind": "session", "key": "session:{id}", "owner": "auth", "idle": "5m" }
              }
            }
            """;

        var mistakes = CatalogFile.Read(text, wantsTypes: true).Mistakes;

        Assert.Equal(
            [
                "2:13 ONGGI006",
                "3:24 ONGGI007",
                "3:50 ONGGI004",
                "5:67 ONGGI020",
                "7:70 ONGGI011",
                "7:85 ONGGI018",
                "7:94 ONGGI002",
                "8:22 ONGGI017",
                "8:52 ONGGI027",
                "8:98 ONGGI019",
                "9:5 ONGGI003",
                "9:44 ONGGI016",
                "9:85 ONGGI011",
            ],
            mistakes.Select(mistake => $"{mistake.Line}:{mistake.Column} {mistake.Id}")
        );
    }

    [Fact]
    public void Loading_says_all_mistakes_with_line_reason_and_cure()
    {
        var problem = Assert.Throws<CatalogException>(() =>
            Keyspace.Load(
                "{\n \"system\": \"s\",\n \"families\": { \"a\": { \"key\": \"a:{id}\", \"ttl\": \"4 h\" }, \"b\": { \"key\": \"b\" } }\n}"
            )
        );

        Assert.StartsWith("The catalog has 2 mistakes:\n", problem.Message, StringComparison.Ordinal);
        Assert.Contains(
            "line 3, column 47: ONGGI007: family \"a\": \"ttl\": \"4 h\" is no duration. A duration is a whole number and one unit: ms, s, m, h or d. Write \"4h\".",
            problem.Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "line 3, column 71: ONGGI014: family \"b\": the key \"b\" has no identifier.",
            problem.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void The_mark_of_a_mistake_covers_the_value()
    {
        var mistake = CatalogFile
            .Read("""{ "system": "s", "defaults": { "ttl": "soon" }, "families": {} }""", wantsTypes: true)
            .Mistakes.Single();

        Assert.Equal((39, 6), (mistake.Column, mistake.Length));
        Assert.Equal("Write \"30m\".", mistake.Write);
    }

    [Fact]
    public void Lines_may_end_as_they_like()
    {
        foreach (var end in new[] { "\n", "\r\n", "\r" })
        {
            var text = $"{{{end}// a comment{end}\"system\":{end}\t7,{end}\"families\": {{}}, }}{end}";
            var mistake = Assert.Single(CatalogFile.Read(text, wantsTypes: true).Mistakes);
            Assert.Equal((4, 2), (mistake.Line, mistake.Column));
        }
    }

    [Fact]
    public void Right_catalogs_have_no_mistakes()
    {
        Assert.Empty(CatalogFile.Read(SampleCatalogs.Small, wantsTypes: true).Mistakes);
        Assert.Empty(CatalogFile.Read("\uFEFF{\"system\":\"s\",\"families\":{}}", wantsTypes: true).Mistakes);
        Assert.Empty(
            CatalogFile
                .Read(
                    """
                    {
                      "system": "s", "services": { "auth": {} },
                      "families": {
                        "event": { "key": "event:{class}", "value": "System.Collections.Generic.Dictionary<string, int[]>" },
                        "blacklist": { "kind": "token", "key": "auth:token:blacklist:{jti}", "owner": "auth", "ttl": "8h" },
                        "run": { "kind": "lock", "key": "locks:run:{id}", "ttl": "30s" },
                        "login": { "kind": "limit", "key": "rate_limit:login:{address}", "ttl": "1m" },
                        "orders": { "kind": "stream", "key": "events:stream:{topic}", "ttl": "7d" },
                        "short": { "key": "short:{id}", "value": "string", "ttl": "5s" },
                      },
                      "defaults": { "grace": "10m", "negativeTtl": "30s" },
                    }
                    """,
                    wantsTypes: true
                )
                .Mistakes
        );
    }

    [Fact]
    public void No_damage_to_a_catalog_breaks_its_reader()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        const string splices = "{}[]\",:/*'\\ \n\u0000%…\uD800é0tn";
        for (var round = 0; round < 3000; round++)
        {
            var text = SampleCatalogs.Small.ToCharArray().ToList();
            for (var n = random.Next(1, 6); n > 0; n--)
            {
                var at = random.Next(text.Count);
                switch (random.Next(3))
                {
                    case 0:
                        text.RemoveRange(at, Math.Min(text.Count - at, random.Next(1, 40)));
                        break;
                    case 1:
                        text.Insert(at, splices[random.Next(splices.Length)]);
                        break;
                    default:
                        text[at] = splices[random.Next(splices.Length)];
                        break;
                }
            }

            var damaged = new string([.. text]);
            var lines = damaged.Split(["\r\n", "\n", "\r"], StringSplitOptions.None);
            var file = CatalogFile.Read(damaged, wantsTypes: true);
            Assert.True(
                file.Mistakes.All(mistake =>
                    mistake.Line <= lines.Length && mistake.Column <= lines[mistake.Line - 1].Length + 1 && mistake.What.Length > 0
                ),
                $"seed {seed}, round {round}"
            );
            Assert.True(file.Model is not null || file.Mistakes.Count > 0, $"seed {seed}, round {round}");
        }
    }

    private static void AssertOnly(string id, string marked, string what, string write)
    {
        var (text, line, column) = Unmark(marked);

        var mistake = Assert.Single(CatalogFile.Read(text, wantsTypes: true).Mistakes);

        Assert.Equal((id, line, column), (mistake.Id, mistake.Line, mistake.Column));
        Assert.Equal(what, mistake.What);
        Assert.StartsWith(write, mistake.Write, StringComparison.Ordinal);
    }

    private static (string Text, int Line, int Column) Unmark(string marked)
    {
        var at = marked.IndexOf('§', StringComparison.Ordinal);
        var before = marked[..at];
        return (before + marked[(at + 1)..], before.Count(c => c == '\n') + 1, at - before.LastIndexOf('\n'));
    }
}
