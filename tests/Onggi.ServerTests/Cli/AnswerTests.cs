using System.CommandLine;
using Onggi.Cli;
using Onggi.Cli.Output;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Every command that asks before it does what cannot be taken back: a no, an empty line and nobody to ask are the same, and nothing is done.</summary>
public sealed class AnswerTests
{
    private static readonly Dictionary<string, Func<Task<Question>>> Asking = new(StringComparer.Ordinal)
    {
        ["acl apply"] = () => OfServerAsync("nothing was changed", "acl", "apply", "--secrets", "SECRETS"),
        ["delete"] = () => OfServerAsync("nothing was removed", "delete", "--pattern", "dev:customer:*"),
        ["limits reset"] = () => OfServerAsync("nothing was reset", "limits", "reset", "dev:rate_limit:login:42"),
        ["migrate retire"] = () => OfMigrationAsync("nothing was removed", "retire"),
        ["migrate rollback"] = () => OfMigrationAsync("nothing was rolled back", "rollback"),
        ["migrate run"] = () => OfMigrationAsync("nothing was moved", "run"),
        ["restore"] = OfRestoreAsync,
        ["sessions revoke"] = () => OfServerAsync("nobody was signed out", "sessions", "revoke", "somebody"),
        ["undelete"] = OfUndeleteAsync,
        ["verify"] = () => OfServerAsync("the answer was no", "verify", "--drill", "--category", "recovery"),
    };

    public static TheoryData<string> Commands => [.. Asking.Keys];

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_no_is_a_no_and_the_exit_code_is_2(string command)
    {
        await using var question = await Asking[command]();
        var before = await question.StateAsync();

        foreach (var answer in (string?[])["no\n", "\n", "y\n", "", null])
        {
            var (code, output, error) = await ToolRun.OfAsync(answer, CancellationToken.None, question.Words);

            Assert.True(code == 2, $"{answer}: {code} {output} {error}");
            Assert.Contains(
                answer is null ? "There is no terminal to ask on" : question.Otherwise,
                output + error,
                StringComparison.Ordinal
            );
            Assert.Equal(before, await question.StateAsync());
        }
    }

    [Fact]
    public void There_is_a_row_for_each_command_that_asks() =>
        Assert.Equal(
            LeavesOf(OnggiTool.Root(new ToolOutput(TextWriter.Null, TextWriter.Null)), [])
                .Where(leaf => leaf.Command.Options.Any(option => option.Name == "--yes"))
                .Select(leaf => string.Join(' ', leaf.Words))
                .Order(StringComparer.Ordinal),
            Asking.Keys.Order(StringComparer.Ordinal)
        );

    private static IEnumerable<(string[] Words, Command Command)> LeavesOf(Command command, string[] words) =>
        command.Subcommands.Count == 0 ? [(words, command)] : command.Subcommands.SelectMany(one => LeavesOf(one, [.. words, one.Name]));

    private static async Task<Question> OfServerAsync(string otherwise, params string[] words)
    {
        var redis = await RedisServerProcess.StartAsync();
        var catalog = Path.Combine(redis.Directory, "keyspace.json");
        await File.WriteAllTextAsync(catalog, BlockToolNode.CatalogJson);
        foreach (var key in (string[])["dev:customer:1", "dev:customer:2", "dev:rate_limit:login:42"])
            await redis.CommandAsync("SET", key, "x", "EX", "1000");
        var secrets = Path.Combine(redis.Directory, "secrets");
        return new Question(
            otherwise,
            [.. words.Select(word => word == "SECRETS" ? secrets : word), "--catalog", catalog, "--redis", redis.ConnectionString],
            redis
        );
    }

    private static async Task<Question> OfUndeleteAsync()
    {
        var question = await OfServerAsync("nothing was put back", "undelete", "FILE", "--replace");
        var undo = Path.Combine(question.Redis.Directory, "customer.undo");
        var where = question.Words[^4..];
        var state = Path.Combine(question.Redis.Directory, "state.json");
        var deleted = await ToolRun.OfAsync(["delete", "--pattern", "dev:customer:*", "--yes", "--undo", undo, "--state", state, .. where]);
        Assert.True(deleted.Code == 0, deleted.Error);
        await question.Redis.CommandAsync("SET", "dev:customer:1", "newer");
        return question with { Words = ["undelete", undo, "--replace", .. where] };
    }

    private static async Task<Question> OfMigrationAsync(string otherwise, string step)
    {
        var scene = await MigrationScene.StartAsync(oneServer: true, keys: 10);
        return new Question(otherwise, ["migrate", step, scene.RulesPath], scene.Target, scene);
    }

    private static async Task<Question> OfRestoreAsync()
    {
        var scene = await BackupScene.StartAsync(keys: 10);
        await scene.BackUpAsync();
        await scene.Source.CommandAsync("FLUSHALL");
        return new Question(
            "nothing was restored",
            ["restore", scene.Archive, "--redis", scene.Source.ConnectionString],
            scene.Source,
            scene
        );
    }

    /// <summary>A command that asks, and what it must not have touched when the answer is no.</summary>
    private sealed record Question(string Otherwise, string[] Words, RedisServerProcess Redis, IAsyncDisposable? Scene = null)
        : IAsyncDisposable
    {
        // Keys of Onggi's own are a look's, and end by themselves.
        private const string Keys =
            "local n = 0 for _, key in ipairs(redis.call('KEYS', '*')) do if not key:find('onggi:', 1, true) then n = n + 1 end end return n";

        public async Task<string> StateAsync() =>
            $"{await Redis.CommandAsync("EVAL", Keys, "0")} {await Redis.CommandAsync("GET", "dev:customer:1")} {await Redis.CommandAsync("ACL", "LIST")}";

        public ValueTask DisposeAsync() => (Scene ?? Redis).DisposeAsync();
    }
}
