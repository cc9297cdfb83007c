using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;

namespace Onggi.AspNetCore;

/// <summary>Answers with problem details: the application's own way where it has one, plain ones otherwise.</summary>
internal static class Problems
{
    public static ProblemDetails Make(int status, string title, string detail) =>
        new()
        {
            Status = status,
            Title = title,
            Detail = detail,
        };

    public static async Task WriteAsync(HttpContext context, ProblemDetails problem)
    {
        context.Response.StatusCode = problem.Status ?? StatusCodes.Status500InternalServerError;
        var service = context.RequestServices.GetService<IProblemDetailsService>();
        if (service is not null && await service.TryWriteAsync(new() { HttpContext = context, ProblemDetails = problem }))
            return;
        await context.Response.WriteAsJsonAsync(
            problem,
            AspNetCoreJson.Default.ProblemDetails,
            "application/problem+json",
            context.RequestAborted
        );
    }
}
