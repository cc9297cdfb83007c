namespace Onggi.Cli.Deployment.Secrets;

/// <summary>The passwords of one user as its Secret has them: the one that is handed out, and while it is being changed another one beside it.</summary>
/// <param name="HandedOut">What clients are given.</param>
/// <param name="Next">What they are to be given: Redis is to take it first.</param>
/// <param name="Previous">What they were given before: Redis takes it until everybody has the other.</param>
internal sealed record RotatedPassword(string HandedOut, string? Next = null, string? Previous = null)
{
    /// <summary>The key of the Secret that pods read.</summary>
    public const string Key = "password";

    private const string NextKey = "next";
    private const string PreviousKey = "previous";

    /// <summary>All that open, the older one first: so the file of users is the same whichever of two is handed out.</summary>
    public IEnumerable<string> All => ((string?[])[Previous, HandedOut, Next]).OfType<string>();

    /// <summary>The step of a change that was done last; <c>null</c> where there is one password.</summary>
    public RotationStep? Step =>
        Next is not null ? RotationStep.Add
        : Previous is not null ? RotationStep.HandOut
        : null;

    /// <summary>What the Secret holds.</summary>
    public IEnumerable<(string Key, string Text)> Data
    {
        get
        {
            yield return (Key, HandedOut);
            if (Next is not null)
                yield return (NextKey, Next);
            if (Previous is not null)
                yield return (PreviousKey, Previous);
        }
    }

    /// <summary>Those of a Secret; <c>null</c> where there is none.</summary>
    public static RotatedPassword? In(KubernetesSecret? secret) =>
        secret?.Text(Key) is { } handedOut ? new RotatedPassword(handedOut, secret.Text(NextKey), secret.Text(PreviousKey)) : null;
}

/// <summary>A step of a change of passwords. After each of them everybody gets in, with what he has and with what he is about to get.</summary>
internal enum RotationStep
{
    /// <summary>Redis is told of a second password. Nobody has it yet.</summary>
    Add,

    /// <summary>Clients are given the second one. Redis takes both.</summary>
    HandOut,

    /// <summary>Redis is told to take the second one only.</summary>
    Drop,
}
