using Microsoft.Extensions.Options;

namespace Onggi.Limits;

/// <summary>The policies of the families of limits that this process uses.</summary>
public sealed class LimitOptions
{
    /// <summary>How many subjects are remembered as denied, and how many are counted here while Redis is away; beyond that all are forgotten.</summary>
    /// <value>Default 10,000.</value>
    public int LocalSubjects { get; set; } = 10_000;

    // A field: the generator that binds configuration looks at every property.
    internal readonly Dictionary<string, LimitPolicy> Families = new(StringComparer.Ordinal);

    /// <summary>Says the policy of a family.</summary>
    /// <param name="name">The family's name in the catalog, of kind <c>limit</c>; a name that it does not have fails the start.</param>
    /// <param name="configure">Sets it: <c>policy => policy.With(LimitRule.Even(10, TimeSpan.FromSeconds(1)))</c>.</param>
    /// <returns>These options, to go on.</returns>
    public LimitOptions ForFamily(string name, Action<LimitPolicy> configure)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        if (!Families.TryGetValue(name, out var policy))
            Families[name] = policy = new LimitPolicy();
        configure(policy);
        return this;
    }
}

/// <summary>Finds the mistakes in <see cref="LimitOptions"/>.</summary>
internal static class LimitOptionsValidator
{
    private const int MostRules = 8;
    private const int MostSubjects = 10_000_000;
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestDenial = TimeSpan.FromMinutes(1);

    public static void Validate(LimitOptions options, string path, ValidateOptionsResultBuilder result)
    {
        if (options.LocalSubjects is < 1 or > MostSubjects)
            result.AddError(
                $"is {options.LocalSubjects}, but each one takes memory. Write a number from 1 to {MostSubjects}, for example 10000.",
                $"{path}:{nameof(LimitOptions.LocalSubjects)}"
            );
        foreach (var (family, policy) in options.Families)
            Validate(policy, $"{path}:{family}", result);
    }

    private static void Validate(LimitPolicy policy, string path, ValidateOptionsResultBuilder result)
    {
        if (policy.Rules.Count is < 1 or > MostRules)
            result.AddError(
                $"has {policy.Rules.Count} rules. Write 1 to {MostRules}, for example policy.With(LimitRule.Even(10, TimeSpan.FromSeconds(1))).",
                $"{path}:{nameof(LimitPolicy.Rules)}"
            );
        if (policy.Rules.Select(static rule => rule.Name).Distinct().Count() < policy.Rules.Count)
            result.AddError(
                "has two rules of the same kind and period, of which the smaller alone would do. Leave the other out.",
                $"{path}:{nameof(LimitPolicy.Rules)}"
            );
        if (policy.Timeout <= TimeSpan.Zero || policy.Timeout > LongestTimeout)
            result.AddError(
                $"is {policy.Timeout}, but callers wait for it when Redis hangs. Write a time above 00:00:00 and at most {LongestTimeout}, for example 00:00:00.250.",
                $"{path}:{nameof(LimitPolicy.Timeout)}"
            );
        if (policy.Nodes < 1)
            result.AddError(
                $"is {policy.Nodes}, but this process is one already. Write how many there are, at least 1.",
                $"{path}:{nameof(LimitPolicy.Nodes)}"
            );
        if (policy.DenyCache < TimeSpan.Zero || policy.DenyCache > LongestDenial)
            result.AddError(
                $"is {policy.DenyCache}, but what is given back elsewhere is noticed only then. Write a time from 00:00:00 to {LongestDenial}, for example 00:00:01.",
                $"{path}:{nameof(LimitPolicy.DenyCache)}"
            );
    }
}
