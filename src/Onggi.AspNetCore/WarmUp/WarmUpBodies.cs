using Microsoft.AspNetCore.Mvc;
using Onggi.Caching;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>How a warm-up ended, as the endpoint says it.</summary>
internal sealed record ReportBody(string Name, long Stored, long Failed, double Seconds, bool Joined)
{
    public static ReportBody Of(WarmReport report, bool joined) =>
        new(report.Name, report.Stored, report.Failed, Math.Round(report.Elapsed.TotalSeconds, 3), joined);
}

/// <summary>How far a warm-up is, as the endpoint says it.</summary>
internal sealed record ProgressBody(string Name, long Done, long Failed, long? Total)
{
    public static ProgressBody Of(WarmProgress progress) => new(progress.Name, progress.Done, progress.Failed, progress.Total);
}

/// <summary>One line of the streamed form: exactly one of its members is there.</summary>
internal sealed record WarmUpLine(ProgressBody? Progress = null, ReportBody? Report = null, ProblemDetails? Problem = null);

/// <summary>All warm-ups of the host.</summary>
internal sealed record WarmUpList(IReadOnlyList<WarmUpState> WarmUps);

/// <summary>One warm-up: is it running, how far, and how did it end the last time.</summary>
internal sealed record WarmUpState(string Name, bool Running, ProgressBody? Progress, ReportBody? Last, DateTimeOffset? LastEnded);
