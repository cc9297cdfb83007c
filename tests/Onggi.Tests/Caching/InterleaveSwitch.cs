using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Onggi.Tests.Caching;

/// <summary>Turns the points between two steps on for this process, before anything asks for them.</summary>
internal static class InterleaveSwitch
{
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The switch is read once, at the first use of the class that it is for.")]
    public static void TurnOn() => AppContext.SetSwitch("Onggi.Interleave", true);
}

/// <summary>Tests that turn static switches on run by themselves, after the others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class SwitchedMutants
{
    internal const string Name = "switched mutants";
}
