using System.CommandLine;
using Onggi.Keys.Catalog;

namespace Onggi.Cli;

/// <summary>What is wrong with a command line, with the nearest of what could have been meant.</summary>
internal static class WrongCommandLine
{
    /// <summary>A sentence for each mistake.</summary>
    public static IEnumerable<string> Describe(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        // Of a command that is misspelt it is said, too, that one lacks.
        foreach (
            var error in parsed.Errors.Where(error =>
                parsed.UnmatchedTokens.Count == 0 || error.Message.Contains('\'', StringComparison.Ordinal)
            )
        )
        {
            var word = parsed.UnmatchedTokens.FirstOrDefault(word => error.Message.Contains($"'{word}'", StringComparison.Ordinal));
            yield return word is not null && Nearest(command, word) is { } nearest
                ? $"{error.Message} Did you mean \"{nearest}\"?"
                : error.Message;
        }
    }

    // Of an option, those of the command; of anything else, the commands below it.
    private static string? Nearest(Command command, string word)
    {
        if (!word.StartsWith('-'))
            return CatalogWords.Nearest(word, command.Subcommands.Where(known => !known.Hidden).Select(known => known.Name));
        var name = word.Split('=', ':')[0];
        return CatalogWords.Nearest(
            name,
            command
                .Options.Where(known => !known.Hidden)
                .SelectMany(known => known.Aliases.Append(known.Name))
                .Where(known => known.StartsWith("--", StringComparison.Ordinal))
        );
    }
}
