using Onggi.Caching;

namespace Onggi.AspNetCore.WarmUp;

/// <summary>A warm-up that the host knows by name.</summary>
internal sealed record WarmUpRegistration(
    string Name,
    Func<IServiceProvider, IProgress<WarmProgress>, CancellationToken, ValueTask<WarmReport>> Run,
    OnggiWarmUpOptions Options
);
