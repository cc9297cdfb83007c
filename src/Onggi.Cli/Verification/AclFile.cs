using Onggi.Cli.Access;
using Onggi.Keys;

namespace Onggi.Cli.Verification;

/// <summary>A file of users, and what is wrong with it.</summary>
internal static class AclFile
{
    public const string UnsafeWhy = "Whoever reads the file, a backup of it or the repository, or nobody but reaches the port, is let in.";
    public const string ForeignWhy = "After the next restart a service can do too little, or too much.";

    /// <summary>The users of the text.</summary>
    /// <param name="text">Its text.</param>
    /// <param name="firstLine">The number of its first line: where it is a part of another file, its line there.</param>
    public static IReadOnlyList<AclUser> Parse(string text, int firstLine = 1) =>
        [.. text.Split('\n').Select((line, i) => AclUser.Parse(line, i + firstLine)).OfType<AclUser>()];

    /// <summary>What lets somebody in unasked.</summary>
    public static IEnumerable<Problem> Unsafe(string file, IReadOnlyList<AclUser> users)
    {
        if (users.All(user => user.Name != AccessUser.Default))
            yield return new Problem(
                "there is no line for the default user, so it is on and needs no password.",
                "Run: onggi acl file",
                Where: file
            );
        foreach (var user in users)
        {
            var where = $"{file}:{user.Line}";
            if (user is { Name: AccessUser.Default, IsOn: true })
                yield return new Problem("the default user is on.", "Write: user default off, as onggi acl file does.", Where: where);
            else if (user is { IsOn: true, NeedsNoPassword: true })
                yield return new Problem(
                    $"{user.Name} needs no password.",
                    "Remove nopass, and write a digest: onggi acl file",
                    Where: where
                );
            else if (user is { IsOn: true, HasPassword: false })
                yield return new Problem(
                    $"{user.Name} is on and has no password: it cannot log in.",
                    "Write a digest: onggi acl file",
                    IsWarning: true,
                    Where: where
                );
            if (user.HasPlainPassword)
                yield return new Problem(
                    $"the password of {user.Name} stands there in plain sight.",
                    "Write its digest, #<SHA-256>, and change it: onggi acl rotate.",
                    Where: where
                );
        }
    }

    /// <summary>Where it is another than the catalog's.</summary>
    public static IEnumerable<Problem> Foreign(string file, IReadOnlyList<AclUser> users, Keyspace keyspace)
    {
        var wanted = AccessPlan
            .Of(keyspace, replicated: true)
            .Select(user => (user.Name, Keys: AclUser.Parse(user.Line([]), 0)!.Keys))
            .ToDictionary(user => user.Name, user => user.Keys, StringComparer.Ordinal);
        var lacking = keyspace.Services.Where(service => users.All(user => user.Name != service || !user.IsOn)).ToList();
        if (lacking.Count > 0)
            yield return new Problem($"there is no user {string.Join(", ", lacking)} that is on.", "Run: onggi acl file", Where: file);
        foreach (var user in users.Where(user => user.IsOn))
        foreach (var problem in Compare(file, user, wanted.GetValueOrDefault(user.Name)))
            yield return problem;
    }

    private static IEnumerable<Problem> Compare(string file, AclUser user, IReadOnlySet<string>? wanted)
    {
        var where = $"{file}:{user.Line}";
        if (wanted is null)
        {
            yield return new Problem(
                $"{user.Name} is not in the catalog.",
                "Name the service in the catalog, or remove the line.",
                IsWarning: !user.MayEverything,
                Where: where
            );
            yield break;
        }

        var many = user.Keys.Except(wanted).Order(StringComparer.Ordinal).ToList();
        var few = wanted.Except(user.Keys).Order(StringComparer.Ordinal).ToList();
        if (user.MayEverything && !wanted.Contains("~*"))
            yield return new Problem($"{user.Name} may do everything.", "Run: onggi acl file", Where: where);
        else if (many.Count > 0)
            yield return new Problem(
                $"{user.Name} has {string.Join(' ', many)}, which the catalog does not give it.",
                "Run: onggi acl file",
                Where: where
            );
        if (few.Count > 0 && !user.Keys.Contains("~*"))
            yield return new Problem($"{user.Name} lacks {string.Join(' ', few)}.", "Run: onggi acl file", Where: where);
    }
}
