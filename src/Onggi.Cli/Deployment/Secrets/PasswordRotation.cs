using Onggi.Keys.Catalog;

namespace Onggi.Cli.Deployment.Secrets;

/// <summary>Changes passwords in three steps, none of which refuses anybody: Redis takes a second one, clients are given it, Redis forgets the first.</summary>
/// <remarks>
/// The file of users and the passwords are in different Secrets, which reach different pods at different moments, and Redis reads its file when it is told to. So at no moment may what clients
/// are given be something that Redis need not have read yet, and nothing that a client may still have is taken away.
/// </remarks>
/// <param name="terms">Which step, of whom.</param>
/// <param name="before">All users, with what the cluster has of them; <c>null</c> where it has nothing.</param>
internal sealed class PasswordRotation(SecretTerms terms, IReadOnlyDictionary<string, RotatedPassword?> before)
{
    private readonly Dictionary<string, RotationStep?> _after = new(StringComparer.Ordinal);

    /// <summary>What is to be done next, by whom each step was reached.</summary>
    public IEnumerable<string> Notes =>
        ((RotationStep[])[RotationStep.Add, RotationStep.HandOut])
            .Select(step => (Step: step, Users: In(step)))
            .Where(group => group.Users.Length > 0)
            .Select(group => Next(group.Step, group.Users))
            .Concat(terms.Rotation?.Step == RotationStep.Drop ? [Dropped()] : []);

    /// <summary>Refuses a step out of order.</summary>
    /// <exception cref="ToolException">What has to come first, and how to say it.</exception>
    public void Check()
    {
        if (terms.Rotation is not { } asked)
            return;
        if (asked.Users.FirstOrDefault(user => !before.ContainsKey(user)) is { } unknown)
            throw new ToolException($"there is no user \"{unknown}\". {CatalogWords.Suggest(unknown, [.. before.Keys], "")}");
        switch (asked.Step)
        {
            case RotationStep.Add when Whose(RotationStep.HandOut) is { Length: > 0 } handedOut:
                throw new ToolException(
                    $"the change before this one has not ended: {handedOut} can still log in with the old password. End it first: --finish {handedOut}"
                );
            case RotationStep.HandOut when asked.Users.Count > 0 && Whose(step: null) is { Length: > 0 } without:
                throw new ToolException(
                    $"there is no new password of {without} to hand out. Redis must take it before anybody has it: begin with --rotate {without}"
                );
            case RotationStep.HandOut when Whose(RotationStep.Add).Length + Whose(RotationStep.HandOut).Length == 0:
                throw new ToolException("nobody has a new password to hand out. Begin with --rotate USER.");
            case RotationStep.Drop when Whose(RotationStep.Add) is { Length: > 0 } added:
                throw new ToolException(
                    $"the new password of {added} has not been handed out: without the old one nobody would get in. First: --hand-out {added}"
                );
        }
    }

    /// <summary>The user's passwords after the step. One that has been done already changes nothing.</summary>
    public RotatedPassword Turn(string user, RotatedPassword passwords, Func<string> newPassword)
    {
        var turned = (terms.Rotation is { } asked && IsAsked(user) ? asked.Step : (RotationStep?)null, passwords.Step) switch
        {
            (RotationStep.Add, null) => passwords with { Next = newPassword() },
            (RotationStep.HandOut, RotationStep.Add) => new RotatedPassword(passwords.Next!, Previous: passwords.HandedOut),
            (RotationStep.Drop, RotationStep.HandOut) => new RotatedPassword(passwords.HandedOut),
            _ => passwords,
        };
        _after[user] = turned.Step;
        return turned;
    }

    /// <summary>Whether the user's new password is handed out by this step.</summary>
    public bool IsHandedOut(string user) =>
        terms.Rotation?.Step == RotationStep.HandOut && IsAsked(user) && _after.GetValueOrDefault(user) == RotationStep.HandOut;

    private static string Next(RotationStep step, string users) =>
        step == RotationStep.Add
            ? $"{users}: Redis is to take a second password, nobody has it yet. Next: apply; when the Redis pods have the file (a minute or so) ACL LOAD on each Redis, and start the Sentinels anew where they know the user; then --hand-out {users}"
            : $"{users}: the new password is handed out, the old one opens as well. Next: apply; when the pods have it (two minutes or so), and those were started anew who are told it at their start, --finish {users}";

    private string Dropped() =>
        before.Keys.Where(user => IsAsked(user) && before[user]?.Step == RotationStep.HandOut).ToList() is { Count: > 0 } users
            ? $"{string.Join(' ', users)}: the old password is to open nothing any more. Next: apply; when the Redis pods have the file (a minute or so) ACL LOAD on each Redis, and start the Sentinels anew where they know the user. That ends it."
            : "nobody has an old password left that could be taken away: nothing changes. One that was taken away lately ends with the ACL LOAD after it.";

    private bool IsAsked(string user) => terms.Rotation is { } asked && (asked.Users.Count == 0 || asked.Users.Contains(user));

    private string In(RotationStep step) => string.Join(' ', _after.Where(pair => pair.Value == step).Select(pair => pair.Key));

    private string Whose(RotationStep? step) =>
        string.Join(' ', before.Where(pair => IsAsked(pair.Key) && pair.Value?.Step == step).Select(pair => pair.Key));
}

/// <summary>A step of a change of passwords that was asked for.</summary>
/// <param name="Step">Which.</param>
/// <param name="Users">Whose passwords; nobody named for all that it applies to.</param>
internal sealed record RotationTerms(RotationStep Step, IReadOnlyList<string> Users);
