using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Onggi.Client;

namespace PhoneBill.Contracts;

/// <summary>Makes problem details of the failures that callers should understand.</summary>
public sealed class PhoneBillExceptions(IProblemDetailsService problems) : IExceptionHandler
{
    // Whole seconds, rounded up: who comes back then is let in.
    private static long SecondsUntilNext(Exception exception) =>
        exception is KosUnavailableException { RetryAfter: { } wait } ? Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)) : 1;

    public ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        var (status, title, detail) = exception switch
        {
            KosUnavailableException => (
                StatusCodes.Status503ServiceUnavailable,
                "The billing system (KOS) is not available",
                $"{exception.Message} Answers that are already cached are still served; ask again in a moment for this one."
            ),
            RedisException => (
                StatusCodes.Status503ServiceUnavailable,
                "The change is made, but not all caches could be told",
                "Repeat the same request: it is safe, and it tells them, even where it answers that nothing is left to change (404 or 409)."
                    + " Until then an old answer can be seen for a while."
            ),
            BadHttpRequestException { InnerException: JsonException json } => (
                StatusCodes.Status400BadRequest,
                "The body is not the JSON that is expected",
                $"{json.Message} The page /openapi/v1.json shows what is."
            ),
            BadHttpRequestException => (StatusCodes.Status400BadRequest, "The request cannot be read", exception.Message),
            _ => default,
        };
        if (title is null)
            return ValueTask.FromResult(false);

        httpContext.Response.StatusCode = status;
        if (status == StatusCodes.Status503ServiceUnavailable)
            httpContext.Response.Headers.RetryAfter = SecondsUntilNext(exception).ToString(CultureInfo.InvariantCulture);
        return problems.TryWriteAsync(
            new()
            {
                HttpContext = httpContext,
                ProblemDetails =
                {
                    Status = status,
                    Title = title,
                    Detail = detail,
                },
            }
        );
    }
}
