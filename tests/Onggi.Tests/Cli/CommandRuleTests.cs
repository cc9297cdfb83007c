using System.CommandLine;
using Onggi.Cli;
using Onggi.Cli.Output;

namespace Onggi.Tests.Cli;

/// <summary>What holds for every command of the tool: docs/operations/daily.md promises it.</summary>
public sealed class CommandRuleTests
{
    private static readonly Command Root = OnggiTool.Root(new ToolOutput(TextWriter.Null, TextWriter.Null));

    [Fact]
    public async Task A_wrong_command_line_is_2_for_each_of_them()
    {
        var wrong = new List<string>();
        foreach (var words in Leaves().Select(leaf => leaf.Words))
        {
            using var error = new StringWriter();
            var code = await OnggiTool.RunAsync([.. words, "--nonsense"], TextWriter.Null, error);
            if (code != OnggiTool.Failed || error.ToString().Length == 0)
                wrong.Add($"{string.Join(' ', words)}: {code}");
        }

        Assert.Empty(wrong);
        Assert.True(Leaves().Count() > 30);
    }

    [Fact]
    public void The_help_of_all_says_what_the_exit_codes_mean()
    {
        Assert.Contains("2 it was not done: it could not be, or the answer was no", Root.Description, StringComparison.Ordinal);
        // Nobody says otherwise.
        Assert.Empty(
            Leaves()
                .Where(leaf => leaf.Command.Description!.Contains("the answer was no", StringComparison.Ordinal))
                .Select(leaf => string.Join(' ', leaf.Words))
        );
    }

    // A number of keys is a number of keys: none where it is 0, and all of them by another word.
    [Fact]
    public void A_sample_means_the_same_wherever_there_is_one()
    {
        var sampling = Leaves().Where(leaf => leaf.Command.Options.Any(option => option.Name == "--sample")).ToList();

        Assert.Equal(["audit", "keys", "status"], sampling.Select(leaf => string.Join(' ', leaf.Words)).Order(StringComparer.Ordinal));
        foreach (var (words, command) in sampling)
        {
            var canDoWithout = words is ["status"];
            Assert.Equal(canDoWithout, Errors([.. words, "--sample", "0"]).Count == 0);
            Assert.NotEmpty(Errors([.. words, "--sample", "-1"]));
            var knowsExact = command.Options.Any(option => option.Name == "--exact");
            Assert.Equal(!canDoWithout, knowsExact);
            if (!knowsExact)
                continue;
            Assert.Contains("--exact looks at every key", Assert.Single(Errors([.. words, "--sample", "0"])), StringComparison.Ordinal);
            Assert.Contains("choose one", Assert.Single(Errors([.. words, "--sample", "500", "--exact"])), StringComparison.Ordinal);
            Assert.Empty(Errors([.. words, "--exact"]));
            Assert.Empty(Errors([.. words, "--sample", "500"]));
        }
    }

    [Fact]
    public void The_pace_of_a_delete_is_told_as_a_pace()
    {
        var delete = Leaves().Single(leaf => leaf.Words is ["delete"]).Command;
        var latency = delete.Options.Single(option => option.Name == "--latency").Description!;

        Assert.StartsWith("The pace, in milliseconds", latency, StringComparison.Ordinal);
        Assert.Contains("no promise", latency, StringComparison.Ordinal);
        Assert.DoesNotContain("no other client waits", delete.Description, StringComparison.Ordinal);
    }

    private static List<string> Errors(string[] args) => [.. Root.Parse(args).Errors.Select(error => error.Message)];

    private static IEnumerable<(string[] Words, Command Command)> Leaves() => LeavesOf(Root, []);

    private static IEnumerable<(string[] Words, Command Command)> LeavesOf(Command command, string[] words) =>
        command.Subcommands.Count == 0 ? [(words, command)] : command.Subcommands.SelectMany(one => LeavesOf(one, [.. words, one.Name]));
}
