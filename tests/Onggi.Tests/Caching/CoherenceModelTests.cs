using Onggi.Testing;
using Onggi.Tests.Rules;

namespace Onggi.Tests.Caching;

/// <summary>The model of the protocol keeps its promises as it stands.</summary>
public sealed class CoherenceModelTests
{
    public static TheoryData<string> Small =>
        [.. CoherenceModel.Configurations.Where(configuration => configuration.IsSmall).Select(configuration => configuration.Name)];

    [SpinTheory]
    [MemberData(nameof(Small))]
    public async Task The_model_breaks_no_promise_in_any_of_its_states(string name)
    {
        var configuration = CoherenceModel.Configurations.Single(one => one.Name == name);

        var result = await SpinProcess.CheckAsync(CoherenceModel.FileIn(Repository.Root), configuration.Defines, trace: true);

        Assert.True(result.Errors == 0, $"{result.Failure}\n{result.Trace}");
        Assert.True(result.IsWhole, result.Output);
        Assert.True(result.States > 100_000, $"Only {result.States} states: is something switched off that should move?");
    }

    [Fact]
    public async Task The_header_names_every_configuration_and_every_mutant()
    {
        var model = await File.ReadAllTextAsync(CoherenceModel.FileIn(Repository.Root));
        var header = model[..model.IndexOf("*/", StringComparison.Ordinal)];

        Assert.All(
            CoherenceModel.Configurations,
            configuration => Assert.Contains($"  {configuration.Name}  ", header, StringComparison.Ordinal)
        );
        Assert.All(CoherenceModel.Mutants, mutant => Assert.Contains($" *   {mutant.Name}  ", header, StringComparison.Ordinal));
    }
}

/// <summary>Each mistake built into the model is found out: the model would see it in the protocol.</summary>
public sealed class CoherenceModelMutantTests
{
    public static TheoryData<string> Mutants => [.. CoherenceModel.Mutants.Select(mutant => mutant.Name)];

    [SpinTheory]
    [MemberData(nameof(Mutants))]
    public async Task A_mistake_breaks_the_promise_that_its_absence_keeps(string name)
    {
        var mutant = CoherenceModel.Mutants.Single(one => one.Name == name);

        var result = await SpinProcess.CheckAsync(CoherenceModel.FileIn(Repository.Root), mutant.Defines);

        Assert.True(result.Errors > 0, $"Nothing is broken:\n{result.Output}");
        Assert.Equal(mutant.Breaks, CoherenceModel.BrokenPromise(result.Failure!));
    }
}

/// <summary>A test that needs spin and gcc. It fails without them, unless the environment says that it is to be left out.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SpinTheoryAttribute : TheoryAttribute
{
    private const string LeaveOut = "ONGGI_TESTS_WITHOUT_SPIN";

    public SpinTheoryAttribute()
    {
        if (Environment.GetEnvironmentVariable(LeaveOut) == "1")
            Skip = $"{LeaveOut} is set";
    }
}
