using System.Text.Json;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>A server with keys of every kind, a catalog, and a folder for backups.</summary>
internal sealed class BackupScene : IAsyncDisposable
{
    private const string CatalogText = """
        {
          "system": "shop",
          "families": {
            "customer": { "key": "customer:{id}", "value": "string" },
            "session": { "key": "auth:session:{id}", "kind": "session", "owner": "auth", "idle": "30m", "absolute": "24h" }
          },
          "services": { "auth": {} }
        }
        """;

    private const string Fill = """
        for i = 1, tonumber(ARGV[1]) do
          local key = 'dev:customer:' .. i
          redis.call('SET', key, 'value ' .. i, 'PX', 3600000 + i * 37)
          if i % 10 == 0 then redis.call('SET', '{' .. key .. '}:n', i, 'PX', 7200000) end
          key = 'dev:auth:session:' .. i
          local kind = i % 7
          if kind == 0 then for f = 1, 5 + i % 200 do redis.call('HSET', key, 'f' .. f, i) end
          elseif kind == 1 then for f = 1, 5 + i % 300 do redis.call('SADD', key, 'm' .. f) end
          elseif kind == 2 then redis.call('ZADD', key, i / 3, 'a', -i / 7, 'b', '-inf', 'c', 0.1, 'd')
          elseif kind == 3 then redis.call('RPUSH', key, i, '', string.rep('x', i))
          elseif kind == 4 then
            redis.call('XADD', key, '*', 'a', i) redis.call('XADD', key, '*', 'lag', i)
            redis.call('XGROUP', 'CREATE', key, 'g', '0') redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1', 'STREAMS', key, '>')
          elseif kind == 5 then redis.call('SETRANGE', key, i, string.char(i % 256, 0, 255, 13, 10))
          else redis.call('SADD', key, i, i + 1) end
          if i % 2 == 0 then redis.call('PEXPIRE', key, 90000000 + i * 41) end
        end
        redis.call('SET', 'stranger', 1)
        redis.call('SET', 'dev:onggi:epoch', 'e1')
        """;

    // Whoever asks for an RDB alone need not wait for others.
    private static readonly string[] WithoutDelay = ["--repl-diskless-sync-delay", "0"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("onggi-backup-tests");

    private BackupScene(RedisServerProcess source) => Source = source;

    public RedisServerProcess Source { get; }

    public string Folder => _folder.FullName;

    public string Catalog => Path.Combine(Folder, "keyspace.json");

    public string Archive => Path.Combine(Folder, "a.onggi");

    public static async Task<BackupScene> StartAsync(int keys = 300, RedisServerSettings? settings = null)
    {
        var scene = new BackupScene(
            await RedisServerProcess.StartAsync((settings ?? new RedisServerSettings()) with { Flags = WithoutDelay })
        );
        await File.WriteAllTextAsync(scene.Catalog, CatalogText);
        await scene.Source.CommandAsync("EVAL", Fill, "0", $"{keys}");
        return scene;
    }

    /// <summary>The tool, and what it says in JSON; null where it says none.</summary>
    public static async Task<(int Code, JsonElement? Said, string Error)> JsonAsync(params string[] args)
    {
        var (code, output, error) = await ToolRun.OfAsync([.. args, "--json"]);
        return (code, output.Length == 0 ? null : JsonElement.Parse(output), error);
    }

    /// <summary>Makes a proven archive.</summary>
    public async Task<JsonElement> BackUpAsync(params string[] more)
    {
        var (code, said, error) = await JsonAsync([
            "backup",
            "create",
            "--redis",
            Source.ConnectionString,
            "--catalog",
            Catalog,
            "--out",
            Archive,
            .. more,
        ]);
        Assert.True(code == 0, $"{code}: {error}");
        return said!.Value;
    }

    /// <summary>All keys of a server with their values and ends, in one text, whatever their order.</summary>
    public static async Task<string> StateAsync(RedisServerProcess server, string prefix = "", int database = 0) =>
        await MigrationScene.AskAsync(
            server,
            database,
            "EVAL",
            """
            local keys, lines = redis.call('KEYS', '*'), {}
            for _, key in ipairs(keys) do
              local kind, value = redis.call('TYPE', key).ok, nil
              if kind == 'string' then value = { redis.call('GET', key) }
              elseif kind == 'hash' then
                value = {}
                local all = redis.call('HGETALL', key)
                for i = 1, #all, 2 do value[#value + 1] = all[i] .. '=' .. all[i + 1] end
                table.sort(value)
              elseif kind == 'set' then value = redis.call('SMEMBERS', key) table.sort(value)
              elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
              elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
              else value = { cjson.encode(redis.call('XRANGE', key, '-', '+')), cjson.encode(redis.call('XPENDING', key, 'g')) } end
              local name = key
              if ARGV[1] ~= '' then
                local at = string.find(key, ARGV[1], 1, true)
                if at == 1 or at == 2 then name = string.sub(key, 1, at - 1) .. 'dev:' .. string.sub(key, at + #ARGV[1]) end
              end
              lines[#lines + 1] = name .. ' ' .. kind .. ' ' .. redis.call('PEXPIRETIME', key) .. ' ' .. redis.sha1hex(table.concat(value, '|'))
            end
            table.sort(lines)
            return table.concat(lines, '\n')
            """,
            "0",
            prefix
        ) ?? "";

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
