using System.Globalization;
using Onggi.Client;
using Onggi.Client.Resp;
using Onggi.Keys;

namespace Onggi.Cli.Access;

/// <summary>Whether each user may run the commands that the catalog gives it and no others: of every command that the server knows it is asked by ACL DRYRUN, which does nothing.</summary>
/// <remarks>The rules are not compared as text: a right that was given and taken away again leaves its traces there, and versions write them differently.</remarks>
internal static class CommandRights
{
    private const string Refused = "no permissions to run";

    /// <summary>What was asked, and what differs.</summary>
    /// <param name="Asked">How many questions there were.</param>
    /// <param name="Wrong">Commands that a user may run and should not, or the other way round.</param>
    internal sealed record Answers(int Asked, IReadOnlyList<AccessMatrix.Cell> Wrong);

    /// <summary>Asks of all users that the catalog can have; whom the server does not know is left out. One round trip for the server's commands, then one for each command and user, all of a user's at once.</summary>
    /// <exception cref="RedisException">The server cannot be asked, or this user may not ask.</exception>
    public static async Task<Answers> AskAsync(RedisClient client, Keyspace keyspace, CancellationToken cancellationToken)
    {
        var reply = await client.ExecuteAsync(["COMMAND"], cancellationToken).ConfigureAwait(false);
        var commands = reply.Items.SelectMany(ServerCommand.Of).ToList();
        var (asked, wrong) = (0, new List<AccessMatrix.Cell>());
        foreach (var user in AccessPlan.Of(keyspace, replicated: true).Where(user => user.IsOn))
        {
            var answers = await Task.WhenAll(commands.ConvertAll(command => MayAsync(client, user.Name, command, cancellationToken)))
                .ConfigureAwait(false);
            if (answers.Contains(Answer.NoUser))
                continue;
            asked += commands.Count;
            foreach (var (command, answer) in commands.Zip(answers).Where(pair => pair.Second != Answer.NoCommand))
            {
                var (may, should) = (answer == Answer.May, Allows(user.Rules, command));
                if (may != should)
                    wrong.Add(
                        new AccessMatrix.Cell(
                            user.Name,
                            command.Name.ToUpperInvariant().Replace('|', ' '),
                            should,
                            may,
                            should ? "a right that it was made with" : "no right that it was made with"
                        )
                    );
            }
        }

        return new Answers(asked, wrong);
    }

    /// <summary>Whether rules of ACL SETUSER let the command run, on whatever keys: the last one that speaks of it decides, and each selector by itself.</summary>
    public static bool Allows(IEnumerable<string> rules, ServerCommand command)
    {
        var (may, selectors) = (false, new List<string>());
        foreach (var rule in rules)
            if (rule[0] == '(')
                selectors.Add(rule[1..^1]);
            else if (rule[0] is '+' or '-' && command.IsMeantBy(rule[1..]))
                may = rule[0] == '+';
        return may || selectors.Exists(selector => Allows(selector.Split(' '), command));
    }

    private static async Task<Answer> MayAsync(RedisClient client, string user, ServerCommand command, CancellationToken cancellationToken)
    {
        try
        {
            RedisArg[] question = ["ACL", "DRYRUN", user, .. command.Words.Select(word => (RedisArg)word)];
            var answer = await client.SendAsync(question, ReplyParsers.Text, cancellationToken).ConfigureAwait(false);
            // Refused for a key's sake: the command itself would be allowed.
            return answer?.Contains(Refused, StringComparison.Ordinal) == true ? Answer.MayNot : Answer.May;
        }
        catch (RedisServerException problem) when (problem.Message.Contains("not found", StringComparison.Ordinal))
        {
            return problem.Message.Contains("User", StringComparison.Ordinal) ? Answer.NoUser : Answer.NoCommand;
        }
    }

    private enum Answer
    {
        May,
        MayNot,
        NoUser,

        /// <summary>It has another name, which nobody is told.</summary>
        NoCommand,
    }

    /// <summary>A command as the server describes it.</summary>
    /// <param name="Name">Its name, <c>config|set</c> with a container.</param>
    /// <param name="Arity">With how many words it is said; at least so many where it is negative.</param>
    /// <param name="Categories">As rules name them: <c>@read</c>.</param>
    internal sealed record ServerCommand(string Name, int Arity, IReadOnlySet<string> Categories)
    {
        private const int FlagsAt = 2;
        private const int CategoriesAt = 6;
        private const int SubcommandsAt = 9;

        /// <summary>It with as many arguments as it needs, which mean nothing.</summary>
        public IEnumerable<string> Words
        {
            get
            {
                var words = Name.Split('|');
                return words.Concat(Enumerable.Repeat("1", Math.Max(0, Math.Abs(Arity) - words.Length)));
            }
        }

        /// <summary>One element of COMMAND's reply: the command, or in its place those that it contains. Nobody needs a right to log in: such commands are left out.</summary>
        public static IEnumerable<ServerCommand> Of(Reply item)
        {
            var parts = item.Items;
            if (parts.Count > SubcommandsAt && parts[SubcommandsAt].Items is { Count: > 0 } contained)
                return contained.SelectMany(Of);
            if (parts[FlagsAt].Items.Any(flag => flag.Text == "no_auth"))
                return [];
            var categories = parts[CategoriesAt].Items.Select(category => category.Text!).ToHashSet(StringComparer.Ordinal);
            return [new ServerCommand(parts[0].Text!, int.Parse(parts[1].Text!, CultureInfo.InvariantCulture), categories)];
        }

        /// <summary>Whether a rule with this word is about it: all, its category, itself, or what contains it.</summary>
        public bool IsMeantBy(string word) =>
            word == "@all" || word == Name || Categories.Contains(word) || Name.StartsWith(word + "|", StringComparison.Ordinal);
    }
}
