with calendar_year as (
    select distinct
        calendar_year,
        cast(concat(cast(calendar_year as varchar), '-01-01') as date) as year_start
    from marts.calendar_month
),

period as (
    select
        person_id,
        observation_period_start_date as start_date,
        cast(observation_period_end_date + interval '1' day as date) as end_date
    from staging.stg_omop__observation_period
),

spent as (
    select
        period.person_id,
        calendar_year.calendar_year,
        greatest(period.start_date, calendar_year.year_start) as first_date,
        least(period.end_date, cast(calendar_year.year_start + interval '1' year as date)) as end_date
    from period
    inner join calendar_year
        on period.start_date < calendar_year.year_start + interval '1' year
        and period.end_date > calendar_year.year_start
),

final as (
    select
        person_id,
        calendar_year,
        sum(cast((to_unixtime(cast(end_date as timestamp)) - to_unixtime(cast(first_date as timestamp))) / 86400 as bigint)) as day_count,
        cast(sum(cast((to_unixtime(cast(end_date as timestamp)) - to_unixtime(cast(first_date as timestamp))) / 86400 as bigint)) as double) / 365.25 as person_years
    from spent
    group by person_id, calendar_year
)

select * from final
