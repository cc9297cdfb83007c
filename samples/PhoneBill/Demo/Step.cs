namespace PhoneBill.Demo;

/// <summary>One thing that the story says happens, and what did.</summary>
public sealed class Step(string name, string title)
{
    private readonly List<string> _missed = [];

    public string Name { get; } = name;

    public string Title { get; } = title;

    /// <summary>Where the answer came from; <c>null</c> where no cache is concerned.</summary>
    public string? Tier { get; set; }

    public double Milliseconds { get; set; }

    /// <summary>What is worth knowing beside time and tier.</summary>
    public string Note { get; set; } = "";

    /// <summary>Numbers for programs.</summary>
    public Dictionary<string, object> Details { get; } = [];

    /// <summary>What was expected and what was seen instead; empty when all happened as told.</summary>
    public IReadOnlyList<string> Missed => _missed;

    public bool Ok => _missed.Count == 0;

    public void Saw(Answer answer)
    {
        Milliseconds = answer.Milliseconds;
        Tier = answer.Tier.Length == 0 ? null : answer.Tier;
    }

    public void Expect(bool holds, string expected, object seen)
    {
        if (!holds)
            _missed.Add($"expected {expected}; saw {seen}");
    }
}
