using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Onggi.AspNetCore.Health;
using Onggi.AspNetCore.WarmUp;

namespace Onggi.AspNetCore;

/// <summary>The JSON that our endpoints answer with, whatever the application set for its own.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(HealthBody))]
[JsonSerializable(typeof(WarmUpList))]
[JsonSerializable(typeof(WarmUpLine))]
[JsonSerializable(typeof(ReportBody))]
[JsonSerializable(typeof(ProblemDetails))]
internal sealed partial class AspNetCoreJson : JsonSerializerContext;
