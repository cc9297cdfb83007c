namespace Onggi.Tests.Client;

/// <summary>Tests that measure the whole process run by themselves, after the others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuredAlone
{
    internal const string Name = "measured alone";
}
