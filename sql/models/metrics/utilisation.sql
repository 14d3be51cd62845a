with visit as (
    select * from marts.visit_summary
),

observed as (
    select
        calendar_year,
        cast(sum(day_count) as double) / 365.25 as person_years,
        count(distinct person_id) as population_count
    from marts.patient_year
    group by calendar_year
),

counted as (
    select
        cast(extract(year from visit_start_date) as integer) as calendar_year,
        visit_name,
        count(*) as visit_count,
        count(distinct person_id) as patient_count,
        avg(cast(night_count as double)) as mean_night_count
    from visit
    group by cast(extract(year from visit_start_date) as integer), visit_name
),

final as (
    select
        observed.calendar_year,
        counted.visit_name,
        counted.visit_count,
        counted.patient_count,
        observed.population_count,
        observed.person_years,
        counted.visit_count / observed.person_years as visits_per_person_year,
        counted.mean_night_count
    from counted
    inner join observed on counted.calendar_year = observed.calendar_year
)

select * from final
